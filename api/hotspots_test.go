package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"firewatch/alerts"
	v1 "firewatch/api/v1"
)

const hotspotHead = "latitude,longitude,bright_ti4,scan,track,acq_date,acq_time,satellite,instrument,confidence,version,bright_ti5,frp,daynight\n"

// hotspotFile is seen some hours before the tests' time: two pixels of one fire
// in 梁格庄镇, one in 涞源镇, one in no township.
const hotspotFile = hotspotHead +
	"39.33,115.37,340,0.4,0.4,2026-03-13,2236,N,VIIRS,n,2.0NRT,295,12.5,N\n" +
	"39.331,115.37,340,0.4,0.4,2026-03-13,2326,N20,VIIRS,h,2.0NRT,295,,N\n" +
	"39.35,114.68,340,0.4,0.4,2026-03-13,2236,N,VIIRS,l,2.0NRT,295,3,N\n" +
	"45,120,340,0.4,0.4,2026-03-13,36,N,VIIRS,n,2.0NRT,295,3,N\n"

func (e *env) hotspots(as, file, query string) response {
	e.t.Helper()
	return e.post(as, "/hotspots"+query, file, "Content-Type", "text/csv; charset=utf-8")
}

func TestHotspotsAreImportedAndListed(t *testing.T) {
	e := newEnv(t)
	if r := into[v1.HotspotReport](e.hotspots("city", hotspotFile, "?dry_run=true").want(http.StatusOK)); !r.DryRun || r.New != 3 {
		t.Errorf("dry: %+v", r)
	}
	if l := into[v1.List[v1.Hotspot]](e.get("city", "/hotspots").want(http.StatusOK)); len(l.Items) != 0 {
		t.Fatalf("a dry run stored %+v", l.Items)
	}
	r := into[v1.HotspotReport](e.hotspots("city", hotspotFile, "").want(http.StatusOK))
	if r.Rows != 4 || r.New != 3 || r.Merged != 1 || r.Outside != 1 || r.Bad != 0 || r.DryRun {
		t.Errorf("%+v", r)
	}
	if r = into[v1.HotspotReport](e.hotspots("admin", hotspotFile, "").want(http.StatusOK)); r.New+r.Grown != 0 || r.Known != 3 || r.Again != 4 {
		t.Errorf("again: %+v", r)
	}
	as, err := e.store.Audits(t.Context(), 10)
	if err != nil || len(as) != 1 || as[0].Action != "hotspots.import" || as[0].Actor != "city" {
		t.Errorf("audits %+v, %v: want one, of what changed something", as, err)
	}
	for who, want := range map[string][]string{"admin": {"130633101", "130630100", ""}, "city": {"130633101", "130630100", ""}, "yixian": {"130633101"}, "laiyuan": {"130630100"}} {
		got := map[string]bool{}
		l := into[v1.List[v1.Hotspot]](e.get(who, "/hotspots").want(http.StatusOK))
		for _, h := range l.Items {
			got[h.Area] = true
		}
		if len(got) != len(want) || len(l.Items) != len(want) {
			t.Errorf("%s sees %v, want %v", who, got, want)
		}
		for _, area := range want {
			if !got[area] {
				t.Errorf("%s sees %v, want %v", who, got, want)
			}
		}
	}
	h := into[v1.List[v1.Hotspot]](e.get("yixian", "/hotspots?area=130633").want(http.StatusOK)).Items[0]
	if h.AreaName != "梁格庄镇" || h.Confidence != "high" || h.Percent != nil || h.FRPMW == nil || *h.FRPMW != 12.5 || h.Pixels != 2 || len(h.Members) != 2 ||
		h.Members[1].FRPMW != nil || h.Judged != nil || h.Last.Sub(h.Seen) != 50*time.Minute || strings.Join(h.Satellites, " ") != "NOAA-20 Suomi-NPP" {
		t.Errorf("%+v", h)
	}
	if l := into[v1.List[v1.Hotspot]](e.get("yixian", "/hotspots?area=130630").want(http.StatusOK)); len(l.Items) != 0 {
		t.Errorf("another county's: %+v", l.Items)
	}
	evs, err := e.store.Events(t.Context(), 0, 100)
	if err != nil || evs[len(evs)-1].Type != alerts.EventHotspot {
		t.Errorf("%+v, %v", evs, err)
	}
}

func TestHotspotsComeInPagesOfATime(t *testing.T) {
	e := newEnv(t)
	e.hotspots("city", hotspotFile, "").want(http.StatusOK)
	var seen []string
	path := "/hotspots?limit=1"
	for range 5 {
		l := into[v1.List[v1.Hotspot]](e.get("city", path).want(http.StatusOK))
		for _, h := range l.Items {
			seen = append(seen, h.ID)
		}
		if l.Next == nil {
			break
		}
		path = "/hotspots?limit=1&cursor=" + *l.Next
	}
	all := into[v1.List[v1.Hotspot]](e.get("city", "/hotspots").want(http.StatusOK))
	if len(seen) != 3 || len(all.Items) != 3 || seen[0] != all.Items[0].ID || seen[2] != all.Items[2].ID {
		t.Errorf("pages %v of %d", seen, len(all.Items))
	}
	if l := into[v1.List[v1.Hotspot]](e.get("city", "/hotspots?from=2026-03-13T12:00:00Z&to=2026-03-14T00:00:00Z").want(http.StatusOK)); len(l.Items) != 2 {
		t.Errorf("%d of the night, want 2", len(l.Items))
	}
	e.get("city", "/hotspots?from=2026-03-14T00:00:00Z&to=2026-03-13T00:00:00Z").problem(http.StatusBadRequest, "invalid")
	e.get("city", "/hotspots?cursor=aHMteA").problem(http.StatusBadRequest, "invalid")
}

func TestBadHotspotsChangeNothing(t *testing.T) {
	e := newEnv(t)
	bad := hotspotFile + strings.Replace(strings.Split(hotspotFile, "\n")[1], "2236", "2460", 1) + "\n"
	p := e.hotspots("city", bad, "").problem(http.StatusUnprocessableEntity, "invalid")
	if len(p.Errors) != 1 || p.Errors[0].Field != "line 6 acq_time" {
		t.Errorf("%+v", p)
	}
	if r := into[v1.HotspotReport](e.hotspots("city", bad, "?dry_run=true").want(http.StatusOK)); r.Bad != 1 || r.Errors[0].Line != 6 || r.Errors[0].Column != "acq_time" {
		t.Errorf("%+v", r)
	}
	if l := into[v1.List[v1.Hotspot]](e.get("city", "/hotspots").want(http.StatusOK)); len(l.Items) != 0 {
		t.Fatalf("stored %+v", l.Items)
	}
	if r := into[v1.HotspotReport](e.hotspots("city", bad, "?skip_bad=true").want(http.StatusOK)); r.Bad != 1 || r.New != 3 {
		t.Errorf("%+v", r)
	}
	e.hotspots("city", "Invalid MAP_KEY.", "").problem(http.StatusUnprocessableEntity, "invalid")
	e.hotspots("yixian", hotspotFile, "").problem(http.StatusForbidden, "forbidden")
	e.post("city", "/hotspots", hotspotFile, "Content-Type", "application/json").problem(http.StatusUnsupportedMediaType, "invalid")
	e.hotspots("city", strings.Repeat(" ", 10<<20+1), "").problem(http.StatusRequestEntityTooLarge, "too_large")
	e.store.Fail(errAway)
	r := e.hotspots("city", hotspotFile, "")
	if r.Code < 500 {
		t.Errorf("status %d of a store that is away", r.Code)
	}
	secretless(t, r.Body)
}
