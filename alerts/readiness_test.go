package alerts

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var readinessT0 = time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC)

func shippedReadiness(tb testing.TB) *ReadinessTable {
	tb.Helper()
	t, err := ParseReadinessTable(DefaultReadiness())
	if err != nil {
		tb.Fatal(err)
	}
	return &t
}

// Three townships: two near each other, one 40 km away.
func readinessAreas() Areas {
	return IndexAreas([]Area{
		{Code: "130633", Name: "易县", Level: County},
		{Code: "130633100", Name: "易州镇", Level: Township, Parent: "130633", Lat: 39.34, Lon: 115.49},
		{Code: "130633101", Name: "梁格庄镇", Level: Township, Parent: "130633", Lat: 39.33, Lon: 115.37},
		{Code: "130633102", Name: "紫荆关镇", Level: Township, Parent: "130633", Lat: 39.43, Lon: 115.03},
	})
}

func byArea(tb testing.TB, rs []Readiness, area string) *Readiness {
	tb.Helper()
	for i := range rs {
		if rs[i].Area == area {
			return &rs[i]
		}
	}
	tb.Fatalf("no readiness of %s", area)
	return nil
}

func TestShippedReadinessTable(t *testing.T) {
	table := shippedReadiness(t)
	for _, c := range []struct {
		in                         Surroundings
		township, pros, neighbours Posture
	}{
		{Surroundings{}, 0, 0, 0},
		{Surroundings{Warning: Blue}, PostureStandby, 0, 0},
		{Surroundings{Warning: Yellow}, PostureDefence, PostureStandby, 0},
		{Surroundings{Warning: Orange}, PostureCombatReady, PostureCombatReady, 0},
		{Surroundings{Warning: Red}, PostureEmergency, PostureEmergency, PostureStandby},
		{Surroundings{Danger: 5}, PostureDefence, PostureStandby, 0},
		{Surroundings{Danger: 4}, 0, 0, 0},
		{Surroundings{Danger: 4, Season: Prevention}, PostureStandby, 0, 0},
		{Surroundings{Season: HighDanger, Special: "清明"}, PostureStandby, 0, 0},
		{Surroundings{Special: "中元"}, 0, 0, 0},
		{Surroundings{Warning: Blue, Danger: 5, Season: Closure, Special: "清明"}, PostureDefence, PostureStandby, 0},
	} {
		r := table.Row(c.in)
		if r.Township != c.township || r.Professional != c.pros || r.Neighbours != c.neighbours {
			t.Errorf("%+v: %q gives %s, %s, %s, want %s, %s, %s", c.in, r.Name, r.Township, r.Professional, r.Neighbours,
				c.township, c.pros, c.neighbours)
		}
	}
	if o := table.Rule(PostureEmergency); o.Order != OrderForward || o.Level != Red {
		t.Errorf("emergency orders %s at %s", o.Order, o.Level)
	}
}

// TestReadinessTableIsCheckedAsAWhole: every fault is named, with its line.
func TestReadinessTableIsCheckedAsAWhole(t *testing.T) {
	const head = "version: v\neffective: \"2026-01-01\"\nhold: 1h\n"
	for _, c := range []struct {
		name, text string
		want       []string
	}{
		{"unknown key", head + "colour: red\nrows: [{name: a}]\n", []string{"line 4", "colour"}},
		{"not YAML", "rows: [", []string{"readiness table"}},
		{"words", head + "rows:\n  - name: a\n    warning: [pink]\n    danger: [\"6\"]\n    season: [wet]\n    township: asleep\n    patrols: 99\n", []string{
			`line 6: warning "pink"`, `line 7: danger "6"`, `line 8: season "wet"`, "line 9: township", "line 10: patrols 99",
		}},
		{"head", "version: \" v\"\neffective: tomorrow\nhold: 48h\nneighbour_km: -1\nweather: [rain]\nrows: [{name: a}]\n", []string{
			"line 1: version", "line 2: effective", "line 3: hold", "line 4: neighbour_km", "line 5: weather",
		}},
		{"lowering", head + "postures:\n  standby: {lower: never}\n  defence: {lower: {after: 1s}}\n  emergency: {lower: {before: 6h}}\n  relaxed: {lower: person}\nrows: [{name: a}]\n", []string{
			"line 5: lower", "line 6: lower", "line 7: lower", `"relaxed"`,
		}},
		{"order", head + "postures:\n  standby: {order: {kind: check, level: pink, text: \"\"}}\nrows: [{name: a}]\n", []string{
			`kind "check"`, `level "pink"`, "text: want 1",
		}},
		{"gap", head + "rows:\n  - {name: only red, warning: [red]}\n", []string{
			"line 5: rows: none fits 192 of 240 combinations", "warning none, danger unknown, season none, special false",
		}},
		{"unreachable", head + "rows:\n  - name: all\n  - {name: red, warning: [red], township: emergency}\n", []string{`line 6: "red" never rules`}},
		{"graver gives less", head + "rows:\n  - {name: blue, warning: [blue], township: defence}\n  - {name: yellow, warning: [yellow], township: standby}\n" +
			"  - {name: grave, warning: [orange, red], township: emergency}\n  - name: rest\n", []string{
			`line 6: "yellow" gives standby to township, but with a milder warning "blue" gives defence`,
		}},
		{"unknown gives less", head + "rows:\n  - {name: low, danger: [\"1\", \"2\", \"3\", \"4\", \"5\"], township: standby}\n  - name: rest\n", []string{
			`"rest" gives normal to township, but with a milder danger "low" gives standby`,
		}},
		{"no rows", head, []string{"rows: want 1"}},
		{"twice", head + "rows:\n  - {name: a, warning: [red, red]}\n", []string{"is there twice"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseReadinessTable([]byte(c.text))
			if err == nil {
				t.Fatal("was taken")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v\nwant %q in it", err, want)
				}
			}
		})
	}
}

func TestReadinessReasons(t *testing.T) {
	table := shippedReadiness(t)
	around := map[string]Surroundings{"130633100": {
		Warning: Orange, WarningEvent: "森林火险", Danger: 4, Season: HighDanger, Special: "清明",
	}}
	rs := ProposeReadiness(table, readinessAreas(), around, nil, readinessT0)
	r := byArea(t, rs, "130633100")
	if got, want := r.Sentence(), "森林火险橙色预警生效；火险等级 4 级（高度危险）；高火险期；清明前后 → 临战"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if r.Posture != PostureNormal || !r.Open || r.Proposed != PostureCombatReady {
		t.Errorf("%+v, want an open proposal", r)
	}
	if p := byArea(t, rs, ProfessionalArea); p.Proposed != PostureCombatReady || p.Reasons[0] != "易州镇达到此条件" {
		t.Errorf("professional teams: %+v", p)
	}
}

func TestRedCallsTheNeighbours(t *testing.T) {
	around := map[string]Surroundings{"130633100": {Warning: Red}, "130633101": {}, "130633102": {}}
	rs := ProposeReadiness(shippedReadiness(t), readinessAreas(), around, nil, readinessT0)
	near, far := byArea(t, rs, "130633101"), byArea(t, rs, "130633102")
	if near.Proposed != PostureStandby || !strings.Contains(near.Sentence(), "邻近的易州镇：红色预警") {
		t.Errorf("neighbour: %s", near.Sentence())
	}
	if far.Proposed != PostureNormal {
		t.Errorf("far: %s", far.Sentence())
	}
}

// TestOneMissingInputKeepsThePostureAndIsSaid: unknown is not safe.
func TestOneMissingInputKeepsThePostureAndIsSaid(t *testing.T) {
	table, areas := shippedReadiness(t), readinessAreas()
	grave := Surroundings{Warning: Orange, WarningEvent: "森林火险", Danger: 5, Season: HighDanger, Special: "清明"}
	for _, c := range []struct {
		name string
		lose func(*Surroundings)
		says string
	}{
		{"warnings", func(s *Surroundings) { s.Warning, s.WarningEvent, s.WarnUnknown = Notice, "", true }, "预警现已不明，沿用"},
		{"danger", func(s *Surroundings) { s.Danger = DangerUnknown }, "资料不足，沿用"},
		{"season", func(s *Surroundings) { s.Season, s.Special, s.SeasonUnknown = "", "", true }, "防火期现已不明，沿用"},
	} {
		t.Run(c.name, func(t *testing.T) {
			around := map[string]Surroundings{"130633100": grave}
			rs := ProposeReadiness(table, areas, around, nil, readinessT0)
			for i := range rs {
				rs[i] = rs[i].Confirm(rs[i].Proposed, "zhang", "", readinessT0)
			}
			lost := grave
			c.lose(&lost)
			around["130633100"] = lost
			for d := time.Minute; d < 100*time.Hour; d *= 3 {
				rs = ProposeReadiness(table, areas, around, rs, readinessT0.Add(d))
				r := byArea(t, rs, "130633100")
				if r.Proposed != PostureCombatReady || r.Posture != PostureCombatReady {
					t.Fatalf("after %s: %+v", d, r)
				}
				if !strings.Contains(r.Sentence(), c.says) || !r.Degraded() {
					t.Fatalf("after %s: %q does not say %q", d, r.Sentence(), c.says)
				}
			}
			// Another input that gets milder meanwhile lowers nothing either.
			milder := lost
			milder.Danger, milder.Warning = min(lost.Danger, 1), Notice
			around["130633100"] = milder
			rs = ProposeReadiness(table, areas, around, rs, readinessT0.Add(200*time.Hour))
			rs = ProposeReadiness(table, areas, around, rs, readinessT0.Add(300*time.Hour))
			if r := byArea(t, rs, "130633100"); r.Proposed != PostureCombatReady || !strings.Contains(r.Sentence(), "不明") && c.name != "danger" {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestLoweringIsProposedAfterTheHold(t *testing.T) {
	table, areas := shippedReadiness(t), readinessAreas()
	around := map[string]Surroundings{"130633100": {Warning: Orange, Danger: 1}}
	rs := ProposeReadiness(table, areas, around, nil, readinessT0)
	for i := range rs {
		rs[i] = rs[i].Confirm(rs[i].Proposed, "zhang", "", readinessT0)
	}
	at := func(d time.Duration, s Surroundings) *Readiness {
		around["130633100"] = s
		rs = ProposeReadiness(table, areas, around, rs, readinessT0.Add(d))
		return byArea(t, rs, "130633100")
	}
	if r := at(10*time.Minute, Surroundings{Danger: 1}); r.Proposed != PostureCombatReady || !strings.Contains(r.Sentence(), "08:10起条件减轻（正常），满 1 小时后建议降低") {
		t.Errorf("at once: %s", r.Sentence())
	}
	at(50*time.Minute, Surroundings{Warning: Yellow, Danger: 1})
	at(60*time.Minute, Surroundings{Danger: 1})
	if r := at(69*time.Minute, Surroundings{Danger: 1}); r.Proposed != PostureCombatReady {
		t.Errorf("before the hour: %s", r.Sentence())
	}
	if r := at(70*time.Minute, Surroundings{Danger: 1}); r.Proposed != PostureDefence || r.Posture != PostureCombatReady || !r.Open {
		t.Errorf("after the hour the gravest of it is proposed, and a person is asked: %+v", r)
	}
	if r := at(130*time.Minute, Surroundings{Danger: 1}); r.Proposed != PostureNormal || r.Posture != PostureCombatReady {
		t.Errorf("after another hour: %+v", r)
	}
}

// TestWrongTableIsFixedByANewVersion: a table that gave too much is followed by
// one that does not, and nothing else is touched.
func TestWrongTableIsFixedByANewVersion(t *testing.T) {
	wrong := shippedReadiness(t)
	wrong.Version, wrong.Rows[4].Township = "wrong", PostureEmergency // blue
	areas, around := readinessAreas(), map[string]Surroundings{"130633100": {Warning: Blue}}
	rs := ProposeReadiness(wrong, areas, around, nil, readinessT0)
	if r := byArea(t, rs, "130633100"); r.Proposed != PostureEmergency || r.Version != "wrong" {
		t.Fatalf("%+v", r)
	}
	right := shippedReadiness(t)
	right.Version = "right"
	for _, d := range []time.Duration{time.Hour, 2 * time.Hour} {
		rs = ProposeReadiness(right, areas, around, rs, readinessT0.Add(d))
	}
	if r := byArea(t, rs, "130633100"); r.Proposed != PostureStandby || r.Version != "right" {
		t.Errorf("%+v", r)
	}
}

func TestRulesOfTheTableActByThemselves(t *testing.T) {
	table := shippedReadiness(t)
	table.Rows[1].Automatic = true // orange
	table.Postures[PostureCombatReady].LowerAfter = 6 * time.Hour
	areas, around := readinessAreas(), map[string]Surroundings{"130633100": {Warning: Orange, Danger: 1}}
	rs := ProposeReadiness(table, areas, around, nil, readinessT0)
	if r := byArea(t, rs, "130633100"); r.Posture != PostureCombatReady || r.Open || r.By != "table:shipped-1" {
		t.Fatalf("%+v", r)
	}
	around["130633100"] = Surroundings{Danger: 1}
	var r *Readiness
	step := func(d time.Duration) {
		rs = ProposeReadiness(table, areas, around, rs, readinessT0.Add(d))
		r = byArea(t, rs, "130633100")
	}
	step(0)
	step(time.Hour)
	step(6*time.Hour + 59*time.Minute)
	if r.Posture != PostureCombatReady || !r.Open {
		t.Errorf("too early: %+v", r)
	}
	step(7 * time.Hour)
	if r.Posture != PostureNormal || r.By != "table:shipped-1" {
		t.Errorf("the rule did not lower: %+v", r)
	}
	// What a person decided is not undone by the rule.
	around["130633100"] = Surroundings{Warning: Orange, Danger: 1}
	step(8 * time.Hour)
	for i := range rs {
		rs[i] = rs[i].Confirm(PostureStandby, "zhang", "已封山", readinessT0)
	}
	step(9 * time.Hour)
	if r.Posture != PostureStandby || r.By != "zhang" || r.Open {
		t.Errorf("%+v", r)
	}
}

func TestOneOrderGoesWithWhatIsRaisedAtOnce(t *testing.T) {
	table := shippedReadiness(t)
	for i := range 2 { // red, orange
		table.Rows[i].Automatic, table.Rows[i].Order = true, ModeAutomatic
	}
	table.Postures[PostureCombatReady].LowerAfter = time.Hour
	areas := readinessAreas()
	around := map[string]Surroundings{"130633100": {Warning: Orange, Danger: 1}, "130633101": {Warning: Orange, Danger: 1}, "130633102": {Warning: Blue, Danger: 1}}
	var rs []Readiness
	step := func(d time.Duration) map[string]OrderKey {
		rs = ProposeReadiness(table, areas, around, rs, readinessT0.Add(d))
		out := map[string]OrderKey{}
		for _, r := range rs {
			out[r.Area] = r.Order
		}
		return out
	}
	first := step(0)
	k := first["130633100"]
	if !k.ByTable() || k.Key == "" || first["130633101"] != k || first[ProfessionalArea] != k || first["130633102"] != (OrderKey{}) {
		t.Fatalf("%+v", first)
	}
	if again := step(time.Minute); again["130633100"] != k {
		t.Errorf("the same again: %+v", again)
	}
	around["130633101"] = Surroundings{Warning: Red, Danger: 1}
	graver := step(time.Hour)
	if g := graver["130633101"]; g == k || g == (OrderKey{}) || graver["130633100"] != k {
		t.Errorf("another posture: %+v", graver)
	}
	// A person who agrees leaves the order as it is, one who does not ends it.
	r := byArea(t, rs, "130633100")
	if c := r.Confirm(PostureCombatReady, "zhang", "", readinessT0); c.Order != k {
		t.Errorf("agreed: %+v", c)
	}
	if c := r.Confirm(PostureStandby, "zhang", "有雨", readinessT0); c.Order != (OrderKey{}) {
		t.Errorf("lowered: %+v", c)
	}
	around["130633100"] = Surroundings{Danger: 1}
	step(2 * time.Hour)
	step(3 * time.Hour)
	if lower := step(4 * time.Hour); byArea(t, rs, "130633100").Posture != PostureStandby || lower["130633100"] != (OrderKey{}) {
		t.Errorf("lowered by a rule: %+v", byArea(t, rs, "130633100"))
	}
	around["130633100"] = Surroundings{Warning: Orange, Danger: 1}
	if second := step(5 * time.Hour); second["130633100"] == k || !second["130633100"].ByTable() {
		t.Errorf("raised again: %+v", second)
	}
}

func TestAutomaticOrdersOfATableAreChecked(t *testing.T) {
	const orange = "    warning: [orange]\n"
	for _, c := range []struct{ name, from, to, want string }{
		{"all is there", orange, orange + "    automatic: true\n    order: automatic\n", ""},
		{"said to be proposed", orange, orange + "    order: propose\n", ""},
		{"an unknown word", orange, orange + "    order: always\n", `order "always": want propose or automatic`},
		{"without the posture", orange, orange + "    order: automatic\n", "order: automatic goes with automatic: true"},
		{
			"a posture without an order", "    warning: [blue]\n    township: standby\n",
			"    warning: [blue]\n    township: standby\n    automatic: true\n    order: automatic\n", "the posture standby has no order",
		},
	} {
		text := strings.Replace(string(DefaultReadiness()), c.from, c.to, 1)
		if strings.Contains(c.want, "standby has no order") {
			i, j := strings.Index(text, "    order: {kind: standby, level: blue"), strings.Index(text, "  defence:\n")
			text = text[:i] + text[j:]
		}
		_, err := ParseReadinessTable([]byte(text))
		if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "line ")) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func drawSurroundings(t *rapid.T) Surroundings {
	return Surroundings{
		Warning:       rapid.SampledFrom(readinessWarnings).Draw(t, "warning"),
		WarnUnknown:   rapid.IntRange(0, 5).Draw(t, "warnings unknown") == 0,
		Danger:        DangerLevel(rapid.Uint8Range(0, 5).Draw(t, "danger")),
		Season:        rapid.SampledFrom(readinessSeasons).Draw(t, "season"),
		SeasonUnknown: rapid.IntRange(0, 5).Draw(t, "season unknown") == 0,
		Special:       rapid.SampledFrom(readinessSpecials).Draw(t, "special"),
	}
}

// TestReadinessNeverFlapsNorFallsByItself drives the proposals through random
// days.
func TestReadinessNeverFlapsNorFallsByItself(t *testing.T) {
	areas, shipped := readinessAreas(), t
	rapid.Check(t, func(t *rapid.T) {
		table := shippedReadiness(shipped)
		for i := range table.Rows {
			table.Rows[i].Automatic = rapid.Bool().Draw(t, "automatic")
		}
		lower := rapid.Bool().Draw(t, "lowered by a rule")
		if lower {
			for i := range table.Postures {
				table.Postures[i].LowerAfter = 3 * time.Hour
			}
		}
		now := readinessT0
		var rs []Readiness
		type asked struct {
			at time.Time
			p  Posture
		}
		wished := map[string][]asked{}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "minutes")) * time.Minute)
			around := map[string]Surroundings{}
			for _, code := range []string{"130633100", "130633101", "130633102"} {
				around[code] = drawSurroundings(t)
			}
			next := ProposeReadiness(table, areas, around, rs, now)
			again := ProposeReadiness(table, areas, around, next, now)
			for i := range next {
				if !next[i].Same(&again[i]) {
					t.Fatalf("not idempotent:\n%+v\n%+v", next[i], again[i])
				}
			}
			for i := range rs {
				was, is := rs[i], next[i]
				unknown := false
				want := PostureNormal
				if s, ok := around[is.Area]; ok {
					unknown = s.WarnUnknown || s.SeasonUnknown || s.Danger == DangerUnknown && was.Inputs.Danger != DangerUnknown
					want = table.Row(s).Township
				}
				wished[is.Area] = append(wished[is.Area], asked{now, want})
				if is.Proposed < want {
					t.Fatalf("proposes less than the table asks: %+v", is)
				}
				if unknown && (is.Proposed < was.Proposed || is.Posture < was.Posture) {
					t.Fatalf("unknown lowered:\n%+v\n%+v", was, is)
				}
				if is.Posture < was.Posture && (!lower || now.Sub(is.ProposedAt) < 3*time.Hour) {
					t.Fatalf("fell without a rule:\n%+v\n%+v", was, is)
				}
				if is.Posture > was.Posture && is.Posture != is.Proposed {
					t.Fatalf("rose beyond the proposal: %+v", is)
				}
				if is.Proposed < was.Proposed {
					for _, a := range wished[is.Area] {
						if now.Sub(a.at) <= table.Hold && a.p > is.Proposed {
							t.Fatalf("fell to %s though %s was asked at %s: %+v", is.Proposed, a.p, a.at, is)
						}
					}
				}
			}
			rs = next
			if rapid.IntRange(0, 4).Draw(t, "a person decides") == 0 {
				i := rapid.IntRange(0, len(rs)-1).Draw(t, "where")
				p := Posture(rapid.Uint8Range(0, 4).Draw(t, "posture"))
				rs[i] = rs[i].Confirm(p, "zhang", "经会商", now)
			}
		}
	})
}

func FuzzParseReadinessTable(f *testing.F) {
	f.Add(DefaultReadiness())
	for i, line := range bytes.Split(DefaultReadiness(), []byte("\n")) {
		if i%5 == 0 {
			f.Add(bytes.Replace(DefaultReadiness(), line, nil, 1))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		table, err := ParseReadinessTable(data)
		if err != nil {
			return
		}
		for _, w := range readinessWarnings {
			s := Surroundings{Warning: w, Danger: 5, Season: Closure, Special: "清明"}
			if table.index(s) < 0 {
				t.Fatal(fmt.Sprint("a table that was taken has no row for ", s))
			}
		}
	})
}
