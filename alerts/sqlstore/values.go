package sqlstore

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
)

// bind turns our values into those the drivers take: times into milliseconds
// (zero: NULL), durations into milliseconds, texts into what both databases
// can hold.
func bind(args []any) []any {
	for i, a := range args {
		switch v := a.(type) {
		case nil, bool, int, int64, float64, []byte:
		case string:
			args[i] = clean(v)
		case time.Time:
			args[i] = millis(v)
		case time.Duration:
			args[i] = v.Milliseconds()
		case json.RawMessage:
			args[i] = rawText(v)
		default:
			switch r := reflect.ValueOf(a); r.Kind() { //nolint:exhaustive // the driver takes or refuses the others
			case reflect.String:
				args[i] = clean(r.String())
			case reflect.Uint8:
				args[i] = int64(r.Uint()) //nolint:gosec // eight bits
			}
		}
	}
	return args
}

// clean drops what PostgreSQL does not take in a text: zero bytes and broken
// UTF-8. A text from a device must never keep an alert from being saved.
func clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func millis(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMilli()
}

// toMillis is the time as it will come back: UTC, in whole milliseconds.
func toMillis(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMilli(t.UnixMilli()).UTC()
}

func rawText(v json.RawMessage) any {
	if len(v) == 0 {
		return nil
	}
	return clean(string(v))
}

// place gives a position two columns: NULL when there is none.
func place(lat, lon float64, has bool) (latCol, lonCol any) {
	if !has || !finite(lat) || !finite(lon) {
		return nil, nil
	}
	return lat, lon
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

// jsonText is the value as JSON, NULL for an empty list.
func jsonText[T any](list []T) (any, error) {
	if len(list) == 0 {
		return nil, nil //nolint:nilnil // NULL
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(list); err != nil {
		return nil, fmt.Errorf("encoding %T: %w", list, err)
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// scanTime reads a column of milliseconds.
type scanTime struct{ to *time.Time }

// Scan implements sql.Scanner.
func (s scanTime) Scan(src any) error {
	var v sql.NullInt64
	if err := v.Scan(src); err != nil {
		return err
	}
	*s.to = time.Time{}
	if v.Valid {
		*s.to = time.UnixMilli(v.Int64).UTC()
	}
	return nil
}

// scanDuration reads a column of milliseconds.
type scanDuration struct{ to *time.Duration }

// Scan implements sql.Scanner.
func (s scanDuration) Scan(src any) error {
	var v sql.NullInt64
	if err := v.Scan(src); err != nil {
		return err
	}
	*s.to = time.Duration(v.Int64) * time.Millisecond
	return nil
}

// scanJSON reads a column of JSON text.
type scanJSON struct{ to any }

// Scan implements sql.Scanner.
func (s scanJSON) Scan(src any) error {
	var v sql.NullString
	if err := v.Scan(src); err != nil || !v.Valid {
		return err
	}
	return json.Unmarshal([]byte(v.String), s.to)
}

// scanRaw reads a column of JSON text as it is.
type scanRaw struct{ to *json.RawMessage }

// Scan implements sql.Scanner.
func (s scanRaw) Scan(src any) error {
	var v sql.NullString
	if err := v.Scan(src); err != nil {
		return err
	}
	*s.to = nil
	if v.Valid {
		*s.to = json.RawMessage(v.String)
	}
	return nil
}

// scanFloat reads one of the two columns of a position.
type scanFloat struct {
	to  *float64
	has *bool
}

// Scan implements sql.Scanner.
func (s scanFloat) Scan(src any) error {
	var v sql.NullFloat64
	if err := v.Scan(src); err != nil {
		return err
	}
	*s.to, *s.has = v.Float64, v.Valid
	return nil
}

func scanInt(r row) (int64, error) {
	var n int64
	err := r.Scan(&n)
	return n, err
}

func scanString(r row) (string, error) {
	var s string
	err := r.Scan(&s)
	return s, err
}
