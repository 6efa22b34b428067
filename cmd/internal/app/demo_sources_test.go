package app

import (
	"testing"
	"time"

	"firewatch/alerts"
	"firewatch/cmd/internal/sample"
)

// The sample registers and tables speak of areas that the sample set has, and
// their sources lie near the townships that they name.
func TestSampleDocumentsFitTheSampleSet(t *testing.T) {
	areas := alerts.IndexAreas(sample.Roster().Areas)
	seasons, err := alerts.ParseSeasons(alerts.SampleSeasons())
	if err != nil {
		t.Fatal(err)
	}
	if err := seasons.Check(areas); err != nil {
		t.Error(err)
	}
	sources, err := alerts.ParseSources(alerts.SampleSources())
	if err != nil {
		t.Fatal(err)
	}
	index := alerts.IndexSources(sources)
	for _, s := range sources.Sources {
		a, ok := areas[s.Area]
		if !ok || a.Level != alerts.Township {
			t.Errorf("%s: no township %s", s.ID, s.Area)
			continue
		}
		found := false
		at := time.Date(2026, 11, 1, 0, 0, 0, 0, alerts.Zone)
		for _, n := range index.Near(a.Lat, a.Lon, 1, at) {
			found = found || n.ID == s.ID
		}
		if !found {
			t.Errorf("%s is more than 1 km from %s", s.ID, a.Name)
		}
	}
}
