package contractv1

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

func values(pairs map[contract.Field]float64) (v contract.Values) {
	for f, x := range pairs {
		v.Set(f, x)
	}
	return v
}

func TestDecodeGivesTheValues(t *testing.T) {
	at := goldenNow
	for _, tc := range []struct {
		document, payload string
		want              []contract.Reading
	}{
		{
			"position", `{"t":1773475200000,"seq":4182,"lat":39.41873,"lon":115.16042,"moving":true,"temp_c":3,"text":"x"}`,
			[]contract.Reading{{Measured: at, Seq: 4182, HasSeq: true, Values: values(map[contract.Field]float64{
				contract.Lat: 39.41873, contract.Lon: 115.16042, contract.Moving: 1,
			})}},
		},
		{
			"sos", `{"t":1773468000000,"cause":"fall","text":"腿伤"}`,
			[]contract.Reading{{Measured: at.Add(-2 * time.Hour), Code: "fall", Text: "腿伤", Values: values(map[contract.Field]float64{contract.Active: 1})}},
		},
		{
			"sos", `{"t":1773475200000,"seq":0,"active":false,"lat":null}`,
			[]contract.Reading{{Measured: at, HasSeq: true, Values: values(map[contract.Field]float64{contract.Active: 0})}},
		},
		{
			"sos", "\xa2\x61t\x00\x65cause\x65panic",
			[]contract.Reading{{Measured: at, Code: "other", Values: values(map[contract.Field]float64{contract.Active: 1})}},
		},
		{
			"status", `{"t":1773475200000,"fw":"2.4.1","online":false}`,
			[]contract.Reading{{Measured: at, Code: "2.4.1", Values: values(map[contract.Field]float64{contract.Online: 0})}},
		},
		{
			"environment", `{"readings":[{"t":1773475200000,"rain_mm":-0.0},{"t":1773475200000,"rain_mm":-1},{"t":1773475200000,"temp_c":-4e-1}]}`,
			[]contract.Reading{
				{Measured: at, Values: values(map[contract.Field]float64{contract.RainMM: 0})},
				{Measured: at, Values: values(map[contract.Field]float64{contract.TempC: -0.4})},
			},
		},
	} {
		topic := topicOf(tc.document)
		for i := range tc.want {
			r := &tc.want[i]
			r.Device, r.Kind, r.Class, r.Received = topic.Device, topic.Kind, topic.Class, at
		}
		before := contract.Reading{Device: "before"}
		rs, _ := Decode([]contract.Reading{before}, topic, []byte(tc.payload), at.In(time.FixedZone("CST", 8*3600)))
		if d := cmp.Diff(append([]contract.Reading{before}, tc.want...), rs, comparers); d != "" {
			t.Errorf("%s\n%s", tc.payload, d)
		}
	}
}

func TestDecodeKeepsWhatWasThere(t *testing.T) {
	dst := make([]contract.Reading, 1, 10)
	dst[0].Device = "before"
	for _, payload := range []string{
		`{"readings":[{"t":1773475200000,"lat":1,"lon":1},`, `{"t":1773475200000,"lat":1,"lon":1}x`, `{}`, ``, `{"readings":[{"t":1773475200000,"lat":1,"lon":1}],"readings":1}`,
	} {
		rs, faults := Decode(dst, topicOf("position"), []byte(payload), goldenNow)
		if len(rs) != 1 || rs[0].Device != "before" || len(faults) != 1 {
			t.Errorf("%s: %d readings, %v", payload, len(rs), faults)
		}
	}
	if rs, faults := Decode(dst, topicOf("answer"), []byte(`{}`), goldenNow); len(rs) != 1 || len(faults) != 1 || faults[0].Rule != RuleTopic {
		t.Errorf("readings on a team's topic: %v", faults)
	}
}

func TestReadingsDoNotHoldOnToThePayload(t *testing.T) {
	for _, payload := range []string{`{"t":1773475200000,"fw":"2.4.1","text":"door open"}`, "\xa3\x61t\x1b\x00\x00\x01\x9c\xeb\x66\xe4\x00\x62fw\x652.4.1\x64text\x69door open"} {
		b := []byte(payload)
		rs, faults := Decode(nil, topicOf("status"), b, goldenNow)
		clear(b)
		if len(faults) == 0 && (rs[0].Code != "2.4.1" || rs[0].Text != "door open") {
			t.Errorf("%+v, %v", rs, faults)
		}
	}
}

func TestFaultsAreOneLine(t *testing.T) {
	for f, want := range map[*Fault]string{
		{Index: 3, Field: "temp_c", Reason: "412 is outside -60..300 °C"}: "reading 3: temp_c: 412 is outside -60..300 °C",
		{Index: -1, Reason: "the message is empty"}:                       "the message is empty",
		{Index: 0, Field: "t", Reason: "no", Kept: true}:                  "reading 0: t: no (the alarm was taken as of its receipt)",
		{Index: -1, Field: "t", Reason: "no", Kept: true}:                 "t: no (the answer was taken as of its receipt)",
		{Index: 0, Field: "lat", Reason: "no", Kept: true}:                "reading 0: lat: no (the alarm was taken without it)",
	} {
		var err error = *f
		if err.Error() != want {
			t.Errorf("%s, want %s", err, want)
		}
	}
	long := `{"t":1773475200000,"fw":"` + strings.Repeat("烟", 30) + `\n"}`
	_, faults := Decode(nil, topicOf("status"), []byte(long), goldenNow)
	if len(faults) != 1 || len(faults[0].String()) > 200 || strings.Contains(faults[0].String(), "\n") {
		t.Errorf("%q", faults)
	}
}

func TestSniff(t *testing.T) {
	for payload, want := range map[string]string{
		"{": "json", " \r\n\t{": "json", "\xa0": "cbor", "\xbf": "cbor", "\xd9\xd9\xf7\xa1": "cbor",
		"": "", " ": "", "[": "", "\x80": "", "\xd9\xd9\xf7": "", "\xd9\xd9\xf7\x80": "", "\xd9\xd9\xf8\xa0": "", " \xa0": "", "\xc1\xa0": "", "x{": "",
	} {
		enc, ok := Sniff([]byte(payload))
		if ok != (want != "") || ok && enc.String() != want {
			t.Errorf("%q: %v, %v", payload, enc, ok)
		}
	}
	for _, e := range []Encoding{JSON, CBOR} {
		if got, err := ParseEncoding(e.String()); err != nil || got != e {
			t.Errorf("%v: %v, %v", e, got, err)
		}
	}
	if _, err := ParseEncoding("protobuf"); err == nil || Encoding(7).String() != "encoding(7)" {
		t.Error("protobuf is taken for an encoding")
	}
}

func TestSizeLimits(t *testing.T) {
	pad := func(n int) []byte {
		const frame = `{"t":1773475200000,"flame":true,"pad":""}`
		return []byte(strings.Replace(frame, `""`, `"`+strings.Repeat("x", n-len(frame))+`"`, 1))
	}
	topic := topicOf("environment")
	if rs, faults := Decode(nil, topic, pad(contract.MaxMessageBytes), goldenNow); len(rs) != 1 || len(faults) != 0 {
		t.Errorf("64 KiB: %v", faults)
	}
	if rs, faults := Decode(nil, topic, pad(contract.MaxMessageBytes+1), goldenNow); len(rs) != 0 || len(faults) != 1 || faults[0].Rule != RuleSize {
		t.Errorf("64 KiB and one: %v", faults)
	}
	batch := func(n int) []byte {
		return []byte(`{"readings":[` + strings.TrimSuffix(strings.Repeat(`{"t":1773475200000,"flame":true},`, n), ",") + `]}`)
	}
	if rs, faults := Decode(nil, topic, batch(500), goldenNow); len(rs) != 500 || len(faults) != 0 {
		t.Errorf("500 readings: %d, %v", len(rs), faults)
	}
	if rs, faults := Decode(nil, topic, batch(501), goldenNow); len(rs) != 0 || len(faults) != 1 || faults[0].Rule != RuleSize {
		t.Errorf("501 readings: %d, %v", len(rs), faults)
	}
	deep := func(n int) []byte {
		return []byte(`{"t":1773475200000,"flame":true,"x":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`)
	}
	if rs, faults := Decode(nil, topic, deep(maxDepth-1), goldenNow); len(rs) != 1 || len(faults) != 0 {
		t.Errorf("16 levels: %v", faults)
	}
	if rs, faults := Decode(nil, topic, deep(30000), goldenNow); len(rs) != 0 || len(faults) != 1 || faults[0].Rule != RuleSize {
		t.Errorf("30,000 levels: %v", faults)
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"position-single", "position-batch", "environment-full"} {
		for _, enc := range []string{".json", ".cbor"} {
			b.Run(name+enc, func(b *testing.B) {
				var g golden
				for _, g = range goldens(b, "valid") {
					if g.name == name+enc {
						break
					}
				}
				topic := topicOf(g.document)
				var rs []contract.Reading
				b.ReportAllocs()
				b.SetBytes(int64(len(g.payload)))
				for b.Loop() {
					rs, _ = Decode(rs[:0], topic, g.payload, goldenNow)
				}
			})
		}
	}
}

func TestAnswersAreNotLostForAClock(t *testing.T) {
	for says, tt := range map[string]struct {
		rule Rule
		kept bool
	}{
		`{"t":1773475200000,"order":"or-1","answer":"accepted"}`:                   {},
		`{"order":"or-1","answer":"accepted","by":"王"}`:                            {RuleMissing, true},
		`{"t":null,"order":"or-1","answer":"accepted"}`:                            {RuleMissing, true},
		`{"t":0,"order":"or-1","answer":"accepted"}`:                               {RuleTime, true},
		`{"t":1773475800001,"order":"or-1","answer":"accepted"}`:                   {RuleTime, true},
		`{"t":"now","order":"or-1","answer":"accepted"}`:                           {RuleType, true},
		`{"t":1773475200000,"t":1773475200001,"order":"or-1","answer":"accepted"}`: {RuleDuplicate, true},
		`{"t":0,"order":"or-1","answer":"rejected","reason":"车坏"}`:                 {RuleTime, true},
		`{"t":0,"order":"or-1","answer":"rejected"}`:                               {RuleTime, false},
		`{"t":0,"answer":"accepted"}`:                                              {RuleTime, false},
		`{"t":0,"order":"or-1","answer":"perhaps"}`:                                {RuleTime, false},
		`{"t":0,"order":"or-1","answer":"accepted"`:                                {RuleSyntax, false},
	} {
		a, err := DecodeAnswer(contract.Topic{Team: "team-1", Answers: true}, []byte(says), goldenNow)
		if tt.rule == "" {
			if err != nil || !a.At.Equal(goldenNow) {
				t.Errorf("%s: %+v, %v", says, a, err)
			}
			continue
		}
		f, ok := errors.AsType[Fault](err)
		if !ok || f.Rule != tt.rule || f.Kept != tt.kept {
			t.Errorf("%s: fault %+v, want %+v", says, f, tt)
		}
		if taken := a.Order == "or-1" && a.Receipt.Answer() && a.At.IsZero() && a.Received.Equal(goldenNow); taken != tt.kept {
			t.Errorf("%s: answer %+v", says, a)
		}
	}
}
