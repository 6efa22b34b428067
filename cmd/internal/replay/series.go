package replay

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// beijing is the zone of the weather series; it keeps UTC+8 all year.
var beijing = time.FixedZone("CST", 8*3600)

// readCSV calls row for each row, with a function that gives a column's text.
func readCSV(r io.Reader, in *input, columns []string, row func(field func(string) string) error) error {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord = -1
	rows.LazyQuotes = true
	rows.ReuseRecord = true
	head, err := rows.Read()
	if err != nil {
		return fmt.Errorf("reading the header: %w", err)
	}
	at := map[string]int{}
	for i, h := range head {
		at[strings.TrimPrefix(strings.TrimSpace(h), "\ufeff")] = i
	}
	for _, c := range columns {
		if _, has := at[c]; !has {
			return fmt.Errorf("column %s is missing", c)
		}
	}
	width := len(head)
	for {
		rec, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading rows: %w", err)
		}
		if len(rec) != width {
			in.leaveOut("row is cut off or too long")
			continue
		}
		err = row(func(c string) string {
			i, has := at[c]
			if !has {
				return ""
			}
			return strings.TrimSpace(rec[i])
		})
		if err != nil {
			return err
		}
	}
}

// gap reports whether the series has no value there.
func gap(s string) bool { return s == "" || s == "NA" || s == "NaN" }

// readWeather reads an hourly series of a Beijing station (UCI data set 501),
// in local time: TEMP and DEWP in °C, RAIN in mm, WSPM in m/s, PRES in hPa, wd.
func readWeather(r io.Reader, in *input) error {
	return readCSV(r, in, []string{"year", "month", "day", "hour", "TEMP", "DEWP", "RAIN", "WSPM"}, func(field func(string) string) error {
		var date [4]int
		for i, c := range []string{"year", "month", "day", "hour"} {
			n, ok := number(field(c))
			if !ok || n != math.Trunc(n) || n < 0 || n > 9999 {
				in.leaveOut("time is not one")
				return nil
			}
			date[i] = int(n)
		}
		t := time.Date(date[0], time.Month(date[1]), date[2], date[3], 0, 0, 0, beijing)
		if t.Year() != date[0] || int(t.Month()) != date[1] || t.Day() != date[2] || t.Hour() != date[3] {
			in.leaveOut("time is not one")
			return nil
		}
		var v contract.Values
		num := func(f contract.Field, column string) float64 {
			s := field(column)
			if gap(s) {
				return math.NaN()
			}
			x, ok := number(s)
			if !ok {
				in.summary.ValuesLeftOut[f.String()+" is no number"]++
				return math.NaN()
			}
			return x
		}
		set := func(f contract.Field, x float64) {
			if !math.IsNaN(x) {
				in.set(&v, f, x)
			}
		}
		temp := num(contract.TempC, "TEMP")
		set(contract.TempC, temp)
		set(contract.RhPct, humidity(temp, num(contract.RhPct, "DEWP")))
		set(contract.RainMM, num(contract.RainMM, "RAIN"))
		set(contract.WindMS, num(contract.WindMS, "WSPM"))
		set(contract.PressureHPa, num(contract.PressureHPa, "PRES"))
		set(contract.WindDirDeg, compass(field("wd")))
		if v.Len() == 0 {
			in.leaveOut("no value")
			return nil
		}
		return in.add(t, v)
	})
}

// humidity is the relative humidity in % from temperature and dew point in °C,
// by Magnus' formula with the coefficients of Sonntag 1990 (17.62, 243.12 °C,
// over water), to 0.01. Dew points above the temperature by the rounding of the
// source are saturation.
func humidity(temp, dew float64) float64 {
	vapour := func(t float64) float64 { return math.Exp(17.62 * t / (243.12 + t)) }
	rh := 100 * vapour(dew) / vapour(temp)
	if dew > temp && dew <= temp+0.5 {
		rh = 100
	}
	return round(rh, 2)
}

// compass is the direction of one of 16 points in degrees; NaN when it is none.
func compass(s string) float64 {
	for i, p := range strings.Fields("N NNE NE ENE E ESE SE SSE S SSW SW WSW W WNW NW NNW") {
		if s == p {
			return 22.5 * float64(i)
		}
	}
	return math.NaN()
}

// readSmoke reads a smoke detector's bench test: temperature, humidity and
// eCO2, one row a second, without times. Its alarm flag is a judgement, not a
// measurement, and has no field.
func readSmoke(r io.Reader, in *input) error {
	columns := []struct {
		name  string
		field contract.Field
	}{{"Temperature[C]", contract.TempC}, {"Humidity[%]", contract.RhPct}, {"eCO2[ppm]", contract.Co2PPM}}
	return readCSV(r, in, []string{columns[0].name, columns[1].name, columns[2].name}, func(field func(string) string) error {
		var v contract.Values
		for _, c := range columns {
			s := field(c.name)
			if gap(s) {
				continue
			}
			x, ok := number(s)
			if !ok {
				in.summary.ValuesLeftOut[c.field.String()+" is no number"]++
				continue
			}
			in.set(&v, c.field, x)
		}
		if v.Len() == 0 {
			in.leaveOut("no value")
			return nil
		}
		return in.add(time.Time{}, v)
	})
}
