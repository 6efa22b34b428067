package main

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/planar"
)

// The pairs are those of the public tests of googollee/eviltransform.
func TestGCJ02AgreesWithPublishedPairs(t *testing.T) {
	for _, tt := range []struct{ wgs, gcj orb.Point }{
		{orb.Point{121.5272106, 31.1774276}, orb.Point{121.531541859215, 31.17530398364597}},
		{orb.Point{113.912316, 22.543847}, orb.Point{113.9171764808363, 22.540796131694766}},
		{orb.Point{116.377817, 39.911954}, orb.Point{116.38404722455657, 39.91334545536069}},
	} {
		if got := toGCJ02(tt.wgs); math.Hypot(got[0]-tt.gcj[0], got[1]-tt.gcj[1]) > 1e-9 {
			t.Errorf("toGCJ02(%v) = %v, want %v", tt.wgs, got, tt.gcj)
		}
		if got := toWGS84(tt.gcj); math.Hypot(got[0]-tt.wgs[0], got[1]-tt.wgs[1]) > 1e-7 { // 1 cm
			t.Errorf("toWGS84(%v) = %v, want %v", tt.gcj, got, tt.wgs)
		}
	}
}

func TestDivideCoversTheRingWithoutOverlap(t *testing.T) {
	// An L: not convex.
	ring := orb.Ring{{115, 39}, {116, 39}, {116, 39.3}, {115.3, 39.3}, {115.3, 40}, {115, 40}, {115, 39}}
	cells := divide(ring, 12)
	sum := 0.0
	for i, c := range cells {
		if c[0] != c[len(c)-1] || c.Orientation() != orb.CCW {
			t.Errorf("cell %d is not a closed ring counter-clockwise", i)
		}
		sum += planar.Area(c)
	}
	if whole := planar.Area(ring); math.Abs(sum-whole) > 0.01*whole {
		t.Errorf("the cells have an area of %v, the ring %v", sum, whole)
	}
}

func TestGeneratedFileIsUpToDate(t *testing.T) {
	if _, err := os.Stat("node_modules"); err != nil {
		t.Skip("npm ci in this folder brings the inputs; CI's lint step does")
	}
	out := filepath.Join(t.TempDir(), "areas.geojson")
	if err := run("node_modules", out); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("../areas.geojson")
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Error("areas.geojson is not what the generator makes: go generate ./cmd/internal/sample")
	}
}
