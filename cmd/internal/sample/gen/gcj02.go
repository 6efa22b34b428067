package main

import (
	"math"

	"github.com/paulmach/orb"
)

// toWGS84 converts a point of the Chinese web maps (GCJ-02) to WGS-84. The
// forward formula is the one found in public sources of web maps; there is no
// inverse in closed form, so it is iterated (below 1 m after a few steps).
func toWGS84(gcj orb.Point) orb.Point {
	wgs := gcj
	for range 10 {
		g := toGCJ02(wgs)
		wgs[0] += gcj[0] - g[0]
		wgs[1] += gcj[1] - g[1]
	}
	return wgs
}

// toGCJ02 shifts a WGS-84 point as Chinese web maps do, by about 0.5 km.
func toGCJ02(p orb.Point) orb.Point {
	const (
		a  = 6378245.0              // m, semi-major axis of Krasovsky 1940
		ee = 0.00669342162296594323 // its eccentricity squared
	)
	x, y := p.Lon()-105, p.Lat()-35
	wave := func(v, k float64) float64 { return math.Sin(v * k * math.Pi) }
	common := (20*wave(x, 6) + 20*wave(x, 2)) * 2 / 3
	dLat := -100 + 2*x + 3*y + 0.2*y*y + 0.1*x*y + 0.2*math.Sqrt(math.Abs(x)) + common +
		(20*wave(y, 1)+40*wave(y, 1.0/3))*2/3 + (160*wave(y, 1.0/12)+320*wave(y, 1.0/30))*2/3
	dLon := 300 + x + 2*y + 0.1*x*x + 0.1*x*y + 0.1*math.Sqrt(math.Abs(x)) + common +
		(20*wave(x, 1)+40*wave(x, 1.0/3))*2/3 + (150*wave(x, 1.0/12)+300*wave(x, 1.0/30))*2/3
	lat := p.Lat() * math.Pi / 180
	magic := 1 - ee*math.Sin(lat)*math.Sin(lat)
	return orb.Point{
		p.Lon() + dLon*180/(a/math.Sqrt(magic)*math.Cos(lat)*math.Pi),
		p.Lat() + dLat*180/(a*(1-ee)/(magic*math.Sqrt(magic))*math.Pi),
	}
}
