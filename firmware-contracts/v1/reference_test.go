package contractv1

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// node is a document as a tree, which keeps duplicates and digits.
type node struct {
	kind  kind
	truth bool
	num   string // as JSON writes it
	text  string
	list  []node
	obj   []entry
}

type entry struct {
	key string
	val node
}

// parseJSON reads a tree with the standard library, or reports that the
// document is not well formed.
func parseJSON(b []byte) (node, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	n, err := parseNode(d)
	if err != nil {
		return n, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return n, errors.New("something follows")
	}
	return n, nil
}

func parseNode(d *json.Decoder) (node, error) {
	t, err := d.Token()
	if err != nil {
		return node{}, err
	}
	switch t := t.(type) {
	case bool:
		return node{kind: kindBool, truth: t}, nil
	case json.Number:
		return node{kind: kindNumber, num: t.String()}, nil
	case string:
		return node{kind: kindText, text: t}, nil
	case json.Delim:
		n := node{kind: kindArray}
		if t == '{' {
			n.kind = kindObject
		}
		for d.More() {
			var e entry
			if n.kind == kindObject {
				k, err := d.Token()
				if err != nil {
					return n, err
				}
				e.key, _ = k.(string)
			}
			if e.val, err = parseNode(d); err != nil {
				return n, err
			}
			if n.kind == kindObject {
				n.obj = append(n.obj, e)
			} else {
				n.list = append(n.list, e.val)
			}
		}
		_, err := d.Token()
		return n, err
	}
	return node{}, nil
}

func (n *node) depth() int {
	deepest := 0
	for i := range n.list {
		deepest = max(deepest, n.list[i].depth())
	}
	for i := range n.obj {
		deepest = max(deepest, n.obj[i].val.depth())
	}
	if n.kind == kindArray || n.kind == kindObject {
		deepest++
	}
	return deepest
}

// verdict is what the reference says of a document.
type verdict struct {
	refused  bool // as a whole
	readings []contract.Reading
	faulty   []int // indexes with a fault
}

// refer is the contract written down a second time, slowly, on a tree.
func refer(doc node, t contract.Topic, now time.Time) verdict {
	if doc.kind != kindObject || doc.depth() > maxDepth {
		return verdict{refused: true}
	}
	readings := doc.all("readings")
	var batch []node
	for i, r := range readings {
		switch {
		case i > 0, r.kind != kindNull && r.kind != kindArray:
			return verdict{refused: true}
		case r.kind == kindArray:
			batch = r.list
			if len(batch) == 0 || len(batch) > contract.MaxReadings {
				return verdict{refused: true}
			}
		}
	}
	if batch == nil {
		batch = []node{doc}
	}
	var v verdict
	for i := range batch {
		r, taken, ok := referReading(&batch[i], t, now)
		if taken {
			v.readings = append(v.readings, r)
		}
		if !ok {
			v.faulty = append(v.faulty, i)
		}
	}
	return v
}

func (n *node) all(key string) (found []node) {
	for _, e := range n.obj {
		if e.key == key {
			found = append(found, e.val)
		}
	}
	return found
}

func referReading(n *node, t contract.Topic, now time.Time) (r contract.Reading, taken, ok bool) {
	if n.kind != kindObject {
		return r, false, false
	}
	ok = true
	r = contract.Reading{Device: t.Device, Kind: t.Kind, Class: t.Class, Received: now}
	c := t.Class
	// get is the first value of the key if it is not null; a second one is a fault.
	get := func(key string) *node {
		found := n.all(key)
		if len(found) > 1 {
			ok = false
		}
		if len(found) == 0 || found[0].kind == kindNull {
			return nil
		}
		return &found[0]
	}
	require := func(good bool) bool {
		ok = ok && good
		return good
	}

	timeGiven, timeGood := false, false
	if v := get("t"); v != nil {
		timeGiven = true
		if x, whole := v.number(); require(whole && x >= 1577836800000 && x <= float64(now.Add(contract.MaxAhead).UnixMilli())) {
			r.Measured, timeGood = time.UnixMilli(int64(x)).UTC(), true
		}
	}
	require(timeGiven)
	if v := get("seq"); v != nil {
		if x, whole := v.number(); require(whole && x >= 0 && x <= 1<<53-1) {
			r.Seq, r.HasSeq = uint64(x), true
		}
	}
	text := map[contract.Class]string{contract.SOS: "cause", contract.Report: "category", contract.Status: "fw"}[c]
	codeBad := false
	if text != "" {
		if v := get("text"); v != nil &&
			require(v.kind == kindText && len(v.text) <= 1000 && !strings.ContainsRune(v.text, 0)) {
			r.Text = v.text
		}
		if v := get(text); v != nil {
			good := v.kind == kindText
			switch c {
			case contract.SOS:
				good = good && slices.Contains(contract.SOSCauses, v.text)
			case contract.Report:
				good = good && slices.Contains(contract.ReportCategories, v.text)
			case contract.Position, contract.Environment, contract.Status:
				good = good && len(v.text) <= 64 && !strings.ContainsFunc(v.text, func(r rune) bool { return r < 32 || r == 127 })
			}
			if codeBad = !require(good); good {
				r.Code = v.text
			}
		}
	}
	given := 0
	for f := range contract.Fields() {
		if !f.In(c) {
			continue
		}
		v := get(f.String())
		if v == nil {
			continue
		}
		given++
		i := f.Info()
		switch x, whole := v.number(); {
		case i.Bool:
			if require(v.kind == kindBool) {
				x := 0.0
				if v.truth {
					x = 1
				}
				r.Values.Set(f, x)
			}
		case require(x >= i.Min && x <= i.Max && (whole || !i.Integer)):
			r.Values.Set(f, x)
		}
	}

	lat, lon := r.Values.Has(contract.Lat), r.Values.Has(contract.Lon)
	switch c {
	case contract.Position:
		require(lat && lon)
	case contract.SOS, contract.Report:
		require(lat == lon)
	case contract.Environment, contract.Status:
	}
	measuredSome := false
	for f := range r.Values.All() {
		measuredSome = measuredSome || slices.Equal(f.Info().Classes, []contract.Class{contract.Environment})
	}
	if c == contract.Environment {
		require(measuredSome)
	}
	if c == contract.SOS && !r.Values.Has(contract.Active) {
		r.Values.Set(contract.Active, 1)
	}
	if ok {
		return r, true, true
	}

	// An alarm is taken without what is wrong with it.
	set := func(f contract.Field) bool { x, _ := r.Values.Get(f); return x == 1 }
	switch {
	case !timeGiven, c == contract.SOS && !set(contract.Active): // a call-off is not believed when in doubt
		return r, false, false
	case c == contract.SOS, c == contract.Report, set(contract.Flame), set(contract.Tamper):
	default:
		return r, false, false
	}
	if !timeGood {
		r.Measured = now.Truncate(time.Millisecond)
	}
	if codeBad && c != contract.Status {
		r.Code = "other"
	}
	switch {
	case lat && lon:
	case c == contract.Position:
		return r, false, false
	default:
		r.Values.Clear(contract.Lat)
		r.Values.Clear(contract.Lon)
	}
	return r, c != contract.Environment || measuredSome, false
}

// number is the value of a number to the nearest float64, and whether it is
// whole; NaN for anything else.
func (n *node) number() (x float64, whole bool) {
	if n.kind != kindNumber {
		return math.NaN(), false
	}
	x, _ = strconv.ParseFloat(n.num, 64)
	if x == 0 {
		x = 0
	}
	mant, exp, _ := strings.Cut(strings.ToLower(n.num), "e")
	if e, err := strconv.Atoi(exp); exp != "" && (err != nil || e > 1000 || e < -1000) {
		// Too large for exact arithmetic: whole unless the exponent is negative.
		return x, !strings.HasPrefix(exp, "-") || strings.Trim(mant, "-0.") == ""
	}
	q, ok := new(big.Rat).SetString(n.num)
	return x, ok && q.IsInt()
}
