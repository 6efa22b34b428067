package alertstest

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"firewatch/alerts"
)

// hotspotsOf merges pixels into hotspots.
func hotspotsOf(ps ...alerts.Pixel) []alerts.Hotspot {
	hs := alerts.MergeHotspots(nil, ps, alerts.Merging{})
	for i := range hs {
		hs[i].Area, hs[i].Imported = "130633101", at(60)
	}
	return hs
}

func pixel(satellite string, minutes int, lat, lon float64) alerts.Pixel {
	return alerts.Pixel{
		Satellite: satellite, Instrument: "VIIRS", Lat: lat, Lon: lon, Seen: at(minutes).Truncate(time.Minute), Confidence: alerts.ConfidenceNominal,
		Percent: -1, FRP: 12.5, Scan: 0.4, Track: 0.38,
	}
}

// stored is what the store makes of a new hotspot.
func stored(hs []alerts.Hotspot) []alerts.Hotspot {
	for i := range hs {
		hs[i].Revision = 1
	}
	return hs
}

var hotspotTests = map[string]func(check){
	"SavedWholeAndListedNewestFirst": func(t check) {
		s := t.store
		a, b := hotspotsOf(pixel("Suomi-NPP", 0, 39.3, 115.3)), hotspotsOf(pixel("NOAA-20", 50, 39.4, 115.4))
		b[0].Masked = "kiln-7"
		if n := got(s.SaveHotspots(t.Context(), append(a, b...), []alerts.Event{event(alerts.EventHotspot)}))(t); n != 2 {
			t.Errorf("%d added, want 2", n)
		}
		a, b = stored(a), stored(b)
		all := append(b, a...)
		equal(t, "all", got(s.Hotspots(t.Context(), alerts.HotspotQuery{From: at(-10), To: at(100), Limit: 10}))(t), all)
		equal(t, "no bounds", got(s.Hotspots(t.Context(), alerts.HotspotQuery{Limit: 10}))(t), all)
		equal(t, "limit", got(s.Hotspots(t.Context(), alerts.HotspotQuery{From: at(-10), To: at(100), Limit: 1}))(t), b)
		equal(t, "to is excluded", got(s.Hotspots(t.Context(), alerts.HotspotQuery{From: a[0].Seen, To: b[0].Seen, Limit: 10}))(t), a)
		equal(t, "page", got(s.Hotspots(t.Context(), alerts.HotspotQuery{Before: b[0].ID, Limit: 10}))(t), a)
		if _, err := s.Hotspots(t.Context(), alerts.HotspotQuery{Before: "hs-none", Limit: 10}); !errors.Is(err, alerts.ErrNotFound) {
			t.Errorf("%v, want ErrNotFound", err)
		}
		withRoster(t, s)
		equal(t, "area", got(s.Hotspots(t.Context(), alerts.HotspotQuery{Area: "130633", Limit: 10}))(t), all)
		equal(t, "other area", len(got(s.Hotspots(t.Context(), alerts.HotspotQuery{Area: "130630", Limit: 10}))(t)), 0)
		equal(t, "unjudged", got(s.UnjudgedHotspots(t.Context(), 10))(t), []alerts.Hotspot{a[0], b[0]})
		equal(t, "unjudged, one", got(s.UnjudgedHotspots(t.Context(), 1))(t), a)
		equal(t, "by id", got(s.HotspotsByID(t.Context(), []string{"hs-none", a[0].ID, a[0].ID}))(t), a)
		equal(t, "events", types(newEvents(t, s, 0))[:1], []alerts.EventType{alerts.EventHotspot})
	},
	"TheSameAgainChangesNothing": func(t check) {
		s := t.store
		hs := hotspotsOf(pixel("Suomi-NPP", 0, 39.3, 115.3), pixel("NOAA-20", 50, 39.301, 115.301))
		got(s.SaveHotspots(t.Context(), hs, nil))(t)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Hotspots: []alerts.JudgedHotspot{{ID: hs[0].ID, Revision: 1, Alert: "al-1", At: at(61)}}}))
		before := got(s.Hotspots(t.Context(), alerts.HotspotQuery{From: at(-10), To: at(100), Limit: 10}))(t)
		later := hotspotsOf(hs[0].Members...)
		later[0].Imported = at(99)
		if n := got(s.SaveHotspots(t.Context(), later, nil))(t); n != 0 {
			t.Errorf("%d added, want 0", n)
		}
		equal(t, "hotspots", got(s.Hotspots(t.Context(), alerts.HotspotQuery{From: at(-10), To: at(100), Limit: 10}))(t), before)
		equal(t, "unjudged", len(got(s.UnjudgedHotspots(t.Context(), 10))(t)), 0)
	},
	"WhatGrowsIsJudgedAgainAndKeepsItsAlert": func(t check) {
		s := t.store
		first := hotspotsOf(pixel("Suomi-NPP", 0, 39.3, 115.3))
		got(s.SaveHotspots(t.Context(), first, nil))(t)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Hotspots: []alerts.JudgedHotspot{{ID: first[0].ID, Revision: 1, Alert: "al-1", At: at(61)}}}))
		grown := hotspotsOf(pixel("Suomi-NPP", 0, 39.3, 115.3), pixel("NOAA-20", 50, 39.301, 115.301))
		if n := got(s.SaveHotspots(t.Context(), grown, nil))(t); n != 0 {
			t.Errorf("%d added, want 0", n)
		}
		h := got(s.UnjudgedHotspots(t.Context(), 10))(t)
		want := grown[0]
		want.Alert, want.Revision = "al-1", 2
		equal(t, "unjudged", h, []alerts.Hotspot{want})
	},
	"GrownWhileJudgedStaysToBeJudged": func(t check) {
		s := t.store
		hs := hotspotsOf(pixel("Suomi-NPP", 0, 39.3, 115.3))
		got(s.SaveHotspots(t.Context(), hs, nil))(t)
		got(s.SaveHotspots(t.Context(), hotspotsOf(pixel("Suomi-NPP", 0, 39.3, 115.3), pixel("NOAA-20", 50, 39.301, 115.301)), nil))(t)
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Hotspots: []alerts.JudgedHotspot{
			{ID: hs[0].ID, Revision: 1, Alert: "al-1", At: at(61)}, {ID: "hs-none", Revision: 1, At: at(61)},
		}}))
		h := got(s.UnjudgedHotspots(t.Context(), 10))(t)
		if len(h) != 1 || h[0].Alert != "al-1" || h[0].Pixels != 2 {
			t.Errorf("%+v, want it with its alert, to be judged", h)
		}
		must(t, s.SaveJudged(t.Context(), alerts.Judged{Hotspots: []alerts.JudgedHotspot{{ID: hs[0].ID, Revision: h[0].Revision, At: at(62)}}}))
		equal(t, "unjudged", len(got(s.UnjudgedHotspots(t.Context(), 10))(t)), 0)
		after := got(s.HotspotsByID(t.Context(), []string{hs[0].ID}))(t)[0]
		if after.Alert != "al-1" || !after.Judged.Equal(at(62)) {
			t.Errorf("alert %q, judged %s", after.Alert, after.Judged)
		}
	},
	"ImportsAtOnceLoseNoPixel": func(t check) {
		s := t.store
		seed := pixel("Suomi-NPP", 0, 39.3, 115.3)
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				if _, err := s.SaveHotspots(t.Context(), hotspotsOf(seed, pixel(fmt.Sprint("NOAA-2", i), 10, 39.3, 115.3)), nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		hs := got(s.Hotspots(t.Context(), alerts.HotspotQuery{From: at(-10), To: at(100), Limit: 10}))(t)
		if len(hs) != 1 || hs[0].Pixels != 9 || len(hs[0].Satellites) != 9 {
			t.Errorf("%d hotspots: %+v", len(hs), hs)
		}
	},
}
