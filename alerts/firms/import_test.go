package firms

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
)

// office has two townships side by side, and a steelworks in the second.
func office(t *testing.T) (*Importer, *memstore.Store) {
	t.Helper()
	s := memstore.New()
	r := alerts.Roster{Areas: []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City},
		{Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
		{
			Code: "130633100", Name: "易州镇", Level: alerts.Township, Parent: "130633",
			Outline: []byte(`{"type":"Polygon","coordinates":[[[115,39],[115.5,39],[115.5,39.5],[115,39.5],[115,39]]]}`),
		},
		{
			Code: "130633101", Name: "梁格庄镇", Level: alerts.Township, Parent: "130633",
			Outline: []byte(`{"type":"Polygon","coordinates":[[[115.5,39],[116,39],[116,39.5],[115.5,39.5],[115.5,39]]]}`),
		},
	}}
	if err := s.ReplaceRoster(t.Context(), r, now); err != nil {
		t.Fatal(err)
	}
	d := alerts.Document{Kind: alerts.DocumentSources, Version: "1", Effective: now.AddDate(-1, 0, 0), Author: "file", Saved: now, Approver: "file", Approved: now, Body: []byte(
		"version: '1'\neffective: 2020-01-01\nsources:\n  - {id: steel, kind: heat, name: 钢厂, area: \"130633101\", lat: 39.3, lon: 115.7, radius_m: 500}\n")}
	if err := s.SaveDocument(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	return &Importer{Store: s, Roster: s, Documents: s}, s
}

const viirsHead = "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_ti5,frp,daynight,type\n"

var fires = viirsHead + strings.Join([]string{
	"39.2,115.2,340,0.4,0.4,2026-06-02,500,N,VIIRS,n,2,295,12,D,0",
	"39.202,115.2,340,0.4,0.4,2026-06-02,550,N20,VIIRS,h,2,295,20,D,0", // the same fire
	"39.3,115.7,340,0.4,0.4,2026-06-02,500,N,VIIRS,n,2,295,9,D,0",      // the steelworks
	"39.4,115.4,340,0.4,0.4,2026-06-02,500,N,VIIRS,n,2,295,9,D,2",      // a static source of the archive
	"45,120,340,0.4,0.4,2026-06-02,500,N,VIIRS,n,2,295,9,D,0",          // elsewhere
}, "\n")

func TestImport(t *testing.T) {
	im, s := office(t)
	rows := read(t, fires)
	dry, err := im.Import(t.Context(), rows, now, true)
	if err != nil {
		t.Fatal(err)
	}
	if hs, err := s.Hotspots(t.Context(), alerts.HotspotQuery{To: now, Limit: 10}); err != nil || len(hs) != 0 {
		t.Fatalf("a dry run saved %+v, %v", hs, err)
	}
	rep, err := im.Import(t.Context(), rows, now, false)
	if err != nil || rep.Rows != 5 || rep.Again != 0 || rep.Merged != 1 || rep.New != 4 || rep.Masked != 2 || rep.Outside != 1 || len(rep.Hotspots) != 4 {
		t.Fatalf("%+v, %v", rep, err)
	}
	if dry.New != rep.New || dry.Masked != rep.Masked || dry.Outside != rep.Outside {
		t.Errorf("a dry run says %+v", dry)
	}
	hs, err := s.Hotspots(t.Context(), alerts.HotspotQuery{To: now, Limit: 10})
	if err != nil {
		t.Fatal(err)
	}
	saw := map[string]int{}
	for _, h := range hs {
		saw[h.Area+"/"+h.Masked] = h.Pixels
		if h.Imported != now || !h.Judged.IsZero() {
			t.Errorf("%+v", h)
		}
	}
	if len(saw) != 4 || saw["130633100/"] != 2 || saw["130633101/steel"] != 1 || saw["130633100/firms"] != 1 || saw["/"] != 1 {
		t.Errorf("%v", saw)
	}
	evs, err := s.Events(t.Context(), 1, 10)
	if err != nil || len(evs) != 1 || evs[0].Type != alerts.EventHotspot || string(evs[0].Data) != `{"added":4,"grown":0}` {
		t.Errorf("%+v, %v", evs, err)
	}

	rep, err = im.Import(t.Context(), rows, now.Add(time.Hour), false)
	if err != nil || rep.Again != 5 || rep.New+rep.Grown != 0 || rep.Known != 4 {
		t.Errorf("the same again: %+v, %v", rep, err)
	}
	more := read(t, fires+"\n39.2,115.201,340,0.4,0.4,2026-06-02,0610,N21,VIIRS,l,2,295,99,D,0")
	rep, err = im.Import(t.Context(), more, now.Add(time.Hour), false)
	if err != nil || rep.Again != 5 || rep.New != 0 || rep.Grown != 1 || rep.Known != 3 {
		t.Errorf("one pass more: %+v, %v", rep, err)
	}
	if evs, err = s.Events(t.Context(), 1, 10); err != nil || len(evs) != 2 {
		t.Errorf("%d events, %v: want none of the import that changed nothing", len(evs), err)
	}
}

// A register that is mended later unmasks when the file comes again.
func TestANewRegisterIsTakenOverWithTheNextImport(t *testing.T) {
	im, s := office(t)
	rows := read(t, fires)
	if _, err := im.Import(t.Context(), rows, now, false); err != nil {
		t.Fatal(err)
	}
	d := alerts.Document{
		Kind: alerts.DocumentSources, Version: "2", Effective: now, Author: "file", Saved: now.Add(time.Hour), Approver: "file", Approved: now,
		Body: []byte("version: '2'\neffective: 2020-01-01\nsources:\n  - {id: kiln, kind: kiln, name: 窑, area: \"130633101\", lat: 39.1, lon: 115.1}\n"),
	}
	if err := s.SaveDocument(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	rep, err := im.Import(t.Context(), rows, now.Add(2*time.Hour), false)
	if err != nil || rep.Grown != 1 || rep.Masked != 1 {
		t.Errorf("%+v, %v", rep, err)
	}
}

func TestAnImportThatFailsChangesNothing(t *testing.T) {
	im, s := office(t)
	away := errors.New("away")
	s.Fail(away)
	if _, err := im.Import(t.Context(), read(t, fires), now, false); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
	s.Fail(nil)
	im.Merging.WithinKM = math.NaN()
	if _, err := im.Import(t.Context(), read(t, fires), now, false); err == nil || !strings.Contains(err.Error(), "km") {
		t.Errorf("%v", err)
	}
	if hs, err := s.Hotspots(t.Context(), alerts.HotspotQuery{To: now, Limit: 10}); err != nil || len(hs) != 0 {
		t.Errorf("%+v, %v", hs, err)
	}
}

// sparing is a store that gives only so much at once.
type sparing struct {
	alerts.HotspotStore
	most int
}

func (s sparing) Hotspots(ctx context.Context, q alerts.HotspotQuery) ([]alerts.Hotspot, error) {
	q.Limit = min(q.Limit, s.most)
	return s.HotspotStore.Hotspots(ctx, q)
}

// The day of China, whole, in two parts and again: every pixel is there once, in
// a hotspot whose first pixel is near it, and no hotspot begins where it could
// have joined another.
func TestTheDayOfChinaMerged(t *testing.T) {
	im, s := office(t)
	im.Store = sparing{s, 400}
	rows := read(t, string(testdata(t, "firms/MODIS_C6_1_China_bbox_20220227.csv")))
	for _, part := range [][]Row{rows[:700], rows[600:], rows} {
		if _, err := im.Import(t.Context(), part, now, false); err != nil {
			t.Fatal(err)
		}
	}
	hs, err := s.Hotspots(t.Context(), alerts.HotspotQuery{To: now, Limit: 10_000})
	if err != nil {
		t.Fatal(err)
	}
	pixels, several := 0, 0
	for _, h := range hs {
		pixels += h.Pixels
		if len(h.Satellites) > 1 {
			several++
		}
	}
	if pixels != len(rows) {
		t.Errorf("%d pixels of %d rows", pixels, len(rows))
	}
	if whole, err := (&Importer{}).Import(t.Context(), rows, now, true); err != nil || len(whole.Hotspots) != 1425 || whole.Merged != 382 {
		t.Errorf("%d hotspots, %d merged, %v; want 1425, 382", len(whole.Hotspots), whole.Merged, err)
	}
	t.Logf("%d rows, %d hotspots, %d of several satellites", len(rows), len(hs), several)
}
