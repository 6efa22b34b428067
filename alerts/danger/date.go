package danger

import (
	"time"
)

// Date is a local calendar day: days since 1970-01-01, which is 0. It has no zone;
// differences are whole days.
type Date int32

// NewDate is the day of a year, month and day of the month.
func NewDate(year int, month time.Month, day int) Date {
	return Date(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / 86400) //nolint:gosec // a year's days fit
}

// DateOf is the calendar day that t shows in its own zone.
func DateOf(t time.Time) Date { return NewDate(t.Date()) }

// ParseDate reads YYYY-MM-DD of the years 1800 to 2999.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < 1800 || t.Year() > 2999 {
		return 0, &InputError{Field: "date", Value: s, Want: "a day as 2026-03-14"}
	}
	// Before 1970 the seconds are negative, and whole days all the same.
	return Date(t.Unix() / 86400), nil //nolint:gosec // the years are bounded above
}

func (d Date) time() time.Time { return time.Unix(int64(d)*86400, 0).UTC() }

// Month is the month of the day.
func (d Date) Month() time.Month { return d.time().Month() }

// String is YYYY-MM-DD.
func (d Date) String() string { return d.time().Format(time.DateOnly) }

// MarshalText writes YYYY-MM-DD.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads YYYY-MM-DD.
func (d *Date) UnmarshalText(text []byte) error {
	v, err := ParseDate(string(text))
	if err == nil {
		*d = v
	}
	return err
}
