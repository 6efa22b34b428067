package contractv1

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
)

func TestEncodersWriteWhatTheREADMESays(t *testing.T) {
	r := contract.Reading{
		Class: contract.Report, Measured: goldenNow.Add(999 * time.Microsecond), Seq: 7, HasSeq: true, Code: "smoke", Text: "a\"\\\n\x01烟",
		Values: values(map[contract.Field]float64{contract.Lat: 39.5, contract.Lon: -115, contract.Tamper: 1, contract.AltM: 1e-7, contract.RssiDBm: -97}),
	}
	b, err := AppendReadings(nil, JSON, []contract.Reading{r})
	if want := `{"t":1773475200000,"seq":7,"category":"smoke","text":"a\"\\\n\u0001烟","lat":39.5,"lon":-115,"alt_m":1e-07,"rssi_dbm":-97,"tamper":true}`; err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
	o := contract.Order{ID: "or-1", Kind: "check", Level: "red", Text: "去看", Drill: true, Issued: goldenNow, AnswerBy: goldenNow, Issuer: "x", Lat: 1, Lon: 2.5, HasPlace: true}
	b, err = AppendOrders(nil, JSON, "team-1", []contract.Order{o}, goldenNow)
	if want := `{"t":1773475200000,"team":"team-1","orders":[{"id":"or-1","kind":"check","level":"red","text":"去看","drill":true,` +
		`"issued":1773475200000,"answer_by":1773475200000,"issuer":"x","lat":1,"lon":2.5}]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
	b, err = AppendOrders(nil, JSON, "", []contract.Order{{ID: "or-1", Kind: "check"}}, goldenNow)
	if want := `{"t":1773475200000,"orders":[{"id":"or-1","kind":"check","drill":false}]}`; err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
	if b, err = AppendOrders(nil, CBOR, "team-1", nil, goldenNow); len(b) != 0 || err != nil {
		t.Errorf("no orders are %q, %v", b, err)
	}
	if o, err := DecodeOrders(nil); err != nil || len(o.Orders) != 0 {
		t.Errorf("the empty payload is %v, %v", o, err)
	}
	a := contract.Answer{Order: "or-1", Receipt: contract.Rejected, Reason: "车坏", At: goldenNow}
	b, err = AppendAnswer([]byte("> "), JSON, a)
	if want := `> {"t":1773475200000,"order":"or-1","answer":"rejected","reason":"车坏"}`; err != nil || string(b) != want {
		t.Errorf("%s, %v\nwant %s", b, err, want)
	}
}

func TestEncodersRefuseWhatWouldNotBeTaken(t *testing.T) {
	good := contract.Reading{Device: "d", Class: contract.Environment, Measured: goldenNow, Values: values(map[contract.Field]float64{contract.TempC: 20})}
	with := func(change func(r *contract.Reading)) []contract.Reading {
		r := good
		change(&r)
		return []contract.Reading{r}
	}
	for says, rs := range map[string][]contract.Reading{
		"there are none":     nil,
		"501 of at most 500": make([]contract.Reading, 501),
		"another device":     {good, with(func(r *contract.Reading) { r.Device = "e" })[0]},
		"the time":           with(func(r *contract.Reading) { r.Measured = time.Time{} }),
		"over 2^53-1":        with(func(r *contract.Reading) { r.Seq, r.HasSeq = 1<<53, true }),
		"no class":           with(func(r *contract.Reading) { r.Class = 0 }),
		"has no code":        with(func(r *contract.Reading) { r.Code = "x" }),
		"text: the class":    with(func(r *contract.Reading) { r.Text = "x" }),
		"finite":             with(func(r *contract.Reading) { r.Values.Set(contract.TempC, math.NaN()) }),
		"outside -60..300":   with(func(r *contract.Reading) { r.Values.Set(contract.TempC, 301) }),
		"not a field of":     with(func(r *contract.Reading) { r.Values.Set(contract.Lat, 1) }),
		"needs a measured":   with(func(r *contract.Reading) { r.Values = contract.Values{} }),
		"a position needs":   with(func(r *contract.Reading) { r.Class, r.Values = contract.Position, contract.Values{} }),
		`"x" is not one of`:  with(func(r *contract.Reading) { r.Class, r.Values, r.Code = contract.SOS, contract.Values{}, "x" }),
		"65 bytes": with(func(r *contract.Reading) {
			r.Class, r.Values, r.Code = contract.Status, contract.Values{}, strings.Repeat("v", 65)
		}),
		"control character": with(func(r *contract.Reading) { r.Class, r.Values, r.Code = contract.Status, contract.Values{}, "\n" }),
		"fw: not UTF-8":     with(func(r *contract.Reading) { r.Class, r.Values, r.Code = contract.Status, contract.Values{}, "\xff" }),
		"text: not UTF-8":   with(func(r *contract.Reading) { r.Class, r.Values, r.Text = contract.Report, contract.Values{}, "\xff" }),
		"1001 bytes": with(func(r *contract.Reading) {
			r.Class, r.Values, r.Text = contract.Report, contract.Values{}, strings.Repeat("x", 1001)
		}),
		"text: holds a NUL":    with(func(r *contract.Reading) { r.Class, r.Values, r.Text = contract.Report, contract.Values{}, "\x00" }),
		"lat and lon together": nil,
	} {
		if says == "lat and lon together" {
			says, rs = "go together", with(func(r *contract.Reading) {
				r.Class, r.Values = contract.SOS, values(map[contract.Field]float64{contract.Lat: 1})
			})
		}
		b, err := AppendReadings([]byte("kept"), JSON, rs)
		if err == nil || !strings.Contains(err.Error(), says) || string(b) != "kept" {
			t.Errorf("want %q, got %v and %q", says, err, b)
		}
	}
	long := contract.Reading{Class: contract.Report, Measured: goldenNow, Text: strings.Repeat("x", 1000)}
	many := make([]contract.Reading, 100)
	for i := range many {
		many[i] = long
	}
	if b, err := AppendReadings(nil, CBOR, many); !errors.Is(err, ErrTooLarge) || len(b) != 0 {
		t.Errorf("100 kB: %d bytes, %v", len(b), err)
	}

	for says, a := range map[string]contract.Answer{
		"the time":         {Order: "or-1", Receipt: contract.Read},
		"is not an id":     {At: goldenNow, Receipt: contract.Read},
		"is not one of":    {At: goldenNow, Order: "or-1"},
		"needs a reason":   {At: goldenNow, Order: "or-1", Receipt: contract.Rejected},
		"by: not UTF-8":    {At: goldenNow, Order: "or-1", Receipt: contract.Read, By: "\xff"},
		"reason: 1001 byt": {At: goldenNow, Order: "or-1", Receipt: contract.Rejected, Reason: strings.Repeat("x", 1001)},
	} {
		if b, err := AppendAnswer(nil, JSON, a); err == nil || !strings.Contains(err.Error(), says) || b != nil {
			t.Errorf("want %q, got %v and %q", says, err, b)
		}
	}

	for says, o := range map[string]contract.Order{
		"is not an id":    {Kind: "check"},
		"is not a word":   {ID: "or-1", Kind: "Check"},
		"level \"Red\"":   {ID: "or-1", Kind: "check", Level: "Red"},
		"outside -90..90": {ID: "or-1", Kind: "check", Lat: 91, HasPlace: true},
		"text: not UTF-8": {ID: "or-1", Kind: "check", Text: "\xff"},
		"cannot be writt": {ID: "or-1", Kind: "check", Issued: time.Unix(-1, 0)},
	} {
		if b, err := AppendOrders(nil, JSON, "team-1", []contract.Order{o}, goldenNow); err == nil || !strings.Contains(err.Error(), says) || b != nil {
			t.Errorf("want %q, got %v and %q", says, err, b)
		}
	}
	some := []contract.Order{{ID: "or-1", Kind: "check"}}
	if _, err := AppendOrders(nil, JSON, "team 1", some, goldenNow); err == nil {
		t.Error("a bad team id was written")
	}
	if _, err := AppendOrders(nil, JSON, "team-1", some, time.Time{}); err == nil {
		t.Error("the year 1 was written")
	}
}
