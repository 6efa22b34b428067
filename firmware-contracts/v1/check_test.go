package contractv1

import (
	"strings"
	"testing"
)

func TestCheckTellsWhatIsWrong(t *testing.T) {
	for _, tc := range []struct {
		name, payload string
		opts          CheckOptions
		want          string
	}{
		{
			"good and guessed",
			`{"t":1773475200000,"lat":39.4,"lon":115.1}`,
			CheckOptions{},
			`f: ok, as position (guessed from its keys), json: 1 taken
`,
		},
		{
			"every fault of every reading, and what is not read",
			`{"readings":[{"t":1773475200,"temp_c":"21","hum":40,"sats":7},{"t":1773475200000,"temp_c":21,"hum":41},{"time":1,"rh_pct":-1,"Temp_C":3}]}`,
			CheckOptions{Topic: "fw/v1/sensors/s1/readings"},
			`f: NOT OK, as environment, json: 1 taken
f: reading 0: t: 1773475200 is 1970-01-21T12:37:55.200Z, before 2020 (looks like seconds: t is in milliseconds since 1970-01-01 UTC)
f:     t is when the device measured, in milliseconds since 1970-01-01 UTC. Set the clock from GNSS, the network or NTP before the first reading.
f: reading 0: temp_c: want a number, got the text "21": send it without quotes
f:     The schema of the document says which type each key has.
f: reading 2: rh_pct: -1 is outside 0..100 %
f:     The unit is the end of the key's name. Leave out a key that has no value; do not send a filler such as -999.
f: reading 2: t: the measured time is missing: milliseconds since 1970-01-01 UTC
f:     Add it, or do not send this document.
f: note: hum is not read (2 times): did you mean rh_pct?
f: note: sats is not read: belongs to position, sos, report
f: note: time is not read: did you mean t?
f: note: Temp_C is not read: did you mean temp_c?
`,
		},
		{
			"a topic that is none",
			`{"t":1773475200000,"lat":39.4,"lon":115.1}`,
			CheckOptions{Topic: "fw/v1/trackers/t1/position"},
			`f: NOT OK, as position (guessed from its keys), json: 1 taken
f: topic: topic "fw/v1/trackers/t1/position": version 1 has no trackers/…/position
f:     See the table of topics in the README of firmware-contracts.
`,
		},
		{
			"a topic of another class",
			`{"t":1773475200000}`,
			CheckOptions{Topic: "fw/v1/trackers/t1/status", Document: "position"},
			`f: NOT OK, as status, json: 1 taken
f: topic: fw/v1/trackers/t1/status carries status, not position
f:     See the table of topics in the README of firmware-contracts.
`,
		},
		{
			"not a document",
			"$GPRMC,080000",
			CheckOptions{},
			`f: NOT OK: 0 taken
f: the message is neither JSON (which begins with '{') nor a CBOR map (0xa0 to 0xbf): it begins with '$'
f:     The whole message is refused, with every reading in it. Check how the document is put together, and that no buffer cuts it.
`,
		},
		{
			"an answer",
			`{"t":1773475200000,"order":"or 1","answer":"rejected"}`,
			CheckOptions{Topic: "fw/v1/teams/team-1/answers"},
			`f: NOT OK, as answer, json
f: order: "or 1" is not an id: 1 to 64 ASCII letters, digits and . _ - beginning with a letter or digit
f:     Send the id as it came in the order.
`,
		},
		{
			"no orders",
			"",
			CheckOptions{Topic: "fw/v1/teams/team-1/orders"},
			`f: ok, as orders
`,
		},
		{
			"no such document",
			"{}",
			CheckOptions{Document: "positions"},
			`f: NOT OK, as positions, json: 0 taken
f: document "positions": want one of position, sos, report, environment, status, answer, orders
f:     See the table of topics in the README of firmware-contracts.
`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.opts.Now = goldenNow
			r := Check([]byte(tc.payload), tc.opts)
			var b strings.Builder
			if err := r.Write(&b, "f"); err != nil {
				t.Fatal(err)
			}
			if b.String() != tc.want {
				t.Errorf("got\n%swant\n%s", b.String(), tc.want)
			}
		})
	}
}

func TestCheckGuessesTheDocument(t *testing.T) {
	for _, g := range goldens(t, "valid") {
		r := Check(g.payload, CheckOptions{Now: goldenNow})
		if !r.OK() {
			t.Errorf("%s: as %s: %v", g.name, r.Document, r.Faults)
		}
		switch g.document {
		case r.Document:
		case "sos", "report", "status": // some have nothing of their own
		default:
			t.Errorf("%s is guessed to be %s", g.name, r.Document)
		}
	}
}

func TestEveryRuleHasAdvice(t *testing.T) {
	for _, g := range goldens(t, "invalid") {
		_, faults := judge(g.document, g.payload)
		for _, f := range faults {
			if f.Rule.Advice() == "" {
				t.Errorf("%s: %s has no advice", g.name, f.Rule)
			}
		}
	}
}

func TestCheckIsBounded(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"t":1`)
	for i := range 5000 {
		b.WriteString(`,"` + strings.Repeat("k", 1+i%5) + string(rune('a'+i%26)) + string(rune('a'+i/26%26)) + `":1`)
	}
	b.WriteString(`}`)
	if r := Check([]byte(b.String()), CheckOptions{Now: goldenNow}); len(r.Ignored) > 100 {
		t.Errorf("%d notes", len(r.Ignored))
	}
}
