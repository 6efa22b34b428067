package alerts

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	sourceNoon = time.Date(2026, 3, 14, 4, 0, 0, 0, time.UTC)
	permitHere = Source{
		ID: "p1", Kind: SourcePermit, Name: "果园烧枝", Area: "130633100", Lat: 39.35, Lon: 115.50, RadiusM: 50,
		From: time.Date(2026, 3, 14, 0, 0, 0, 0, time.UTC), To: time.Date(2026, 3, 14, 10, 0, 0, 0, time.UTC),
		Holder: "王某", Phone: "13800000000",
	}
)

// northOf is the latitude some metres north of one.
func northOf(lat, m float64) float64 { return lat + m/111_195 }

func TestSourcesExplain(t *testing.T) {
	grave := Source{ID: "g1", Kind: SourceGrave, Name: "北坡墓地", Lat: northOf(39.35, 100), Lon: 115.50, RadiusM: 100}
	wide := Source{ID: "h1", Kind: SourceHeat, Name: "钢厂", Lat: northOf(39.35, 2000), Lon: 115.50, RadiusM: 1800}
	x := IndexSources(SourceTable{Version: "v1", Sources: []Source{grave, permitHere, wide}})
	for _, tt := range []struct {
		name string
		lat  float64
		at   time.Time
		want []string
	}{
		{"what burns comes before what does not, what is nearer first", northOf(39.35, 180), sourceNoon, []string{"p1", "h1", "g1"}},
		{"at the edge of the margin", northOf(39.35, -349), sourceNoon, []string{"p1"}},
		{"beyond the margin", northOf(39.35, -352), sourceNoon, nil},
		{"before the permit begins", northOf(39.35, -349), permitHere.From.Add(-time.Nanosecond), nil},
		{"when the permit begins", northOf(39.35, -349), permitHere.From, []string{"p1"}},
		{"when the permit has ended", northOf(39.35, -349), permitHere.To, nil},
		{"a wide one, from far", northOf(39.35, 3900), sourceNoon, []string{"h1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, n := range x.Explains(tt.lat, 115.50, tt.at) {
				got = append(got, n.ID)
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	var none *SourceIndex
	if none.Explains(39.35, 115.5, sourceNoon) != nil || none.Near(39.35, 115.5, 1, sourceNoon) != nil || none.Version() != "" {
		t.Error("no register explains something")
	}
	if near := x.Near(39.35, 115.50, 1, sourceNoon); len(near) != 2 || near[0].ID != "p1" || near[1].ID != "g1" || math.Abs(near[1].DistanceM-100) > 0.5 {
		t.Errorf("near: %+v", near)
	}
}

// The grid finds what measuring every source finds.
func TestSourceIndexFindsAll(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		lat0 := rapid.Float64Range(4, 53).Draw(t, "lat0")
		n := rapid.IntRange(0, 30).Draw(t, "n")
		var all []Source
		for i := range n {
			all = append(all, Source{
				ID: string(rune('A' + i)), Kind: SourceGrave, RadiusM: rapid.Float64Range(1, 5000).Draw(t, "r"),
				Lat: lat0 + rapid.Float64Range(-0.1, 0.1).Draw(t, "dlat"), Lon: 115 + rapid.Float64Range(-0.1, 0.1).Draw(t, "dlon"),
			})
		}
		x := IndexSources(SourceTable{Sources: all})
		km := rapid.Float64Range(0, 12).Draw(t, "km")
		near, explains := 0, 0
		for _, s := range all {
			d := metres(lat0, 115, s.Lat, s.Lon)
			if d <= km*1000 {
				near++
			}
			if d <= s.RadiusM+SourceMargin {
				explains++
			}
		}
		if got := len(x.Near(lat0, 115, km, sourceNoon)); got != near {
			t.Fatalf("near: %d, want %d", got, near)
		}
		if got := len(x.Explains(lat0, 115, sourceNoon)); got != explains {
			t.Fatalf("explains: %d, want %d", got, explains)
		}
	})
}

// A registered source is told with the alert and ranks it; it changes neither
// how grave it is nor whether it is told.
func TestSourcesAnnotateAndNeverSilence(t *testing.T) {
	plain := Alert{Lat: northOf(39.35, 180), Lon: 115.5, HasPlace: true, Severity: Orange, State: Firing, Measured: sourceNoon, Reasons: []string{"x"}}
	a := plain
	a.Annotate(IndexSources(SourceTable{Sources: []Source{permitHere}}))
	want := "附近 180 m 有已登记用火许可（果园烧枝，责任人王某 13800000000，有效至 2026-03-14 18:00）"
	if len(a.Reasons) != 2 || a.Reasons[1] != want {
		t.Errorf("reasons: %q", a.Reasons)
	}
	if a.Severity != plain.Severity || a.State != plain.State || a.Hush != plain.Hush {
		t.Error("it is silenced")
	}
	if len(a.Explain.Sources) != 1 || a.Explain.Sources[0].ID != "p1" || a.VerifyRank() != 2 || plain.VerifyRank() != 0 {
		t.Errorf("%+v, rank %d", a.Explain.Sources, a.VerifyRank())
	}
	late := plain // an alert that is judged later is judged at its own time
	late.Raised = permitHere.To.Add(time.Hour)
	if late.Annotate(IndexSources(SourceTable{Sources: []Source{permitHere}})); len(late.Reasons) != 2 {
		t.Error("the time of raising counted, not the measured one")
	}
	nowhere := plain
	nowhere.HasPlace = false
	if nowhere.Annotate(IndexSources(SourceTable{Sources: []Source{permitHere}})); len(nowhere.Reasons) != 1 {
		t.Error("an alert without a place is explained")
	}
	var graves []Source
	for i := range 40 {
		graves = append(graves, Source{ID: string(rune('A' + i)), Kind: SourceGrave, Name: string(rune('A' + i)), Lat: 39.35, Lon: 115.5, RadiusM: 1})
	}
	many := plain
	many.Annotate(IndexSources(SourceTable{Sources: graves}))
	if n := len(many.Reasons); n != 1+maxNearby+1 || !strings.Contains(many.Reasons[len(many.Reasons)-1], "另有 35 处") || many.VerifyRank() != 1 {
		t.Errorf("%q, rank %d", many.Reasons, many.VerifyRank())
	}
}
