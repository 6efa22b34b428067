package app

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"

	"firewatch/alerts/danger"
)

func runTable(tb testing.TB, stdin string, args ...string) (code int, out, said string) {
	tb.Helper()
	var o, e bytes.Buffer
	code = Run(context.Background(), Env{Args: append([]string{"danger"}, args...), Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e})
	return code, o.String(), e.String()
}

const fwiHeader = "date,temp_c,rh_pct,wind_kmh,rain_mm\n"

const htzHeader = "date,temp_max_c,rh_min_pct,rain_mm,wind_max_ms,green_pct,snow_pct\n"

func TestDangerTables(t *testing.T) {
	for _, tt := range []struct {
		name, in, out, said string
		args                []string
	}{
		{
			"fwi", fwiHeader + "2026-04-13,17,42,25,0\n2026-04-14,20,21,25,2.4\n",
			"date,temp_c,rh_pct,wind_kmh,rain_mm,ffmc,dmc,dc,isi,bui,fwi,dsr\n" +
				"2026-04-13,17,42,25,0,87.6494,8.54505,19.0140,10.7762,8.49043,10.0362,1.61193\n" +
				"2026-04-14,20,21,25,2.4,86.2009,10.4019,23.5680,8.77083,10.3553,9.22045,1.38733\n",
			"",
			[]string{"fwi"},
		},
		{
			"fwi by the book", fwiHeader + "2026-04-13,17,42,25,0\n",
			"date,temp_c,rh_pct,wind_kmh,rain_mm,ffmc,dmc,dc,isi,bui,fwi,dsr\n" +
				"2026-04-13,17,42,25,0,87.6930,8.54505,19.0140,10.8537,8.49043,10.0964,1.62908\n",
			"",
			[]string{"fwi", "--book-constants", "--lat", "-39"},
		},
		{
			"any order, a mark in front, CRLF, blank lines behind, other columns",
			"\uFEFFrain_mm,备注,Date, TEMP_C ,rh_pct,wind_kmh\r\n0,\"晴, 大风\",2026-04-13,17,42,25\r\n\r\n,,,,,\r\n",
			"rain_mm,备注,Date,\" TEMP_C \",rh_pct,wind_kmh,ffmc,dmc,dc,isi,bui,fwi,dsr\n" +
				"0,\"晴, 大风\",2026-04-13,17,42,25,87.6494,8.54505,19.0140,10.7762,8.49043,10.0362,1.61193\n",
			"",
			[]string{"fwi"},
		},
		{
			"a gap is bridged, another restarts",
			fwiHeader + "2026-04-13,17,42,25,0\n2026-04-15,17,42,25,0\n2026-04-19,17,42,25,0\n",
			"date,temp_c,rh_pct,wind_kmh,rain_mm,ffmc,dmc,dc,isi,bui,fwi,dsr,chain\n" +
				"2026-04-13,17,42,25,0,87.6494,8.54505,19.0140,10.7762,8.49043,10.0362,1.61193,start\n" +
				"2026-04-15,17,42,25,0,88.2510,13.6352,27.0420,11.7467,13.5242,13.2427,2.63311,bridged\n" +
				"2026-04-19,17,42,25,0,87.6494,8.54505,19.0140,10.7762,8.49043,10.0362,1.61193,restarted\n",
			"line 3: 1 day is missing before, bridged with the weather of the day before the gap and no rain\n" +
				"line 4: 3 days are missing before, too many to bridge: restarted from 85,6,15\n",
			[]string{"fwi"},
		},
		{
			"rated before, rated anew", "date,fwi,temp_c,rh_pct,wind_kmh,rain_mm\n2026-04-13,99,17,42,25,0\n",
			"date,temp_c,rh_pct,wind_kmh,rain_mm,ffmc,dmc,dc,isi,bui,fwi,dsr\n" +
				"2026-04-13,17,42,25,0,87.6494,8.54505,19.0140,10.7762,8.49043,10.0362,1.61193\n",
			"column fwi of the input is replaced\n",
			[]string{"fwi"},
		},
		{"no day", fwiHeader, "date,temp_c,rh_pct,wind_kmh,rain_mm,ffmc,dmc,dc,isi,bui,fwi,dsr\n", "", []string{"fwi"}},
		{
			"htz: the published examples", htzHeader +
				"2026-03-10,22.0,25,3.0,9.0,0,0\n2026-03-14,22.0,25,0,9.0,0,0\n2026-03-15,4,80,12,0.1,0,90\n",
			strings.TrimSuffix(htzHeader, "\n") + ",htz,level,chain\n" +
				"2026-03-10,22.0,25,3.0,9.0,0,0,66,3,start\n2026-03-14,22.0,25,0,9.0,0,0,86,4,bridged\n2026-03-15,4,80,12,0.1,0,90,-20,1,next\n",
			"line 3: 3 days are missing before, their rain is not known; from here on 上次降水以来有3天降水不详，按无雨计\n",
			[]string{"htz"},
		},
		{
			"htz: what is missing is not rated", htzHeader +
				"2026-03-10,22,25,3,9,,\n2026-03-11,,25,0,9,,\n2026-03-12,22,25,0,9,,\n",
			strings.TrimSuffix(htzHeader, "\n") + ",htz,level\n" +
				"2026-03-10,22,25,3,9,,,66,3\n2026-03-11,,25,0,9,,,,\n2026-03-12,22,25,0,9,,,76,4\n",
			"line 3: 资料不足：缺最高气温 (no temp_max_c): not rated\n",
			[]string{"htz"},
		},
		{
			"htz: an unknown start counts as dry", htzHeader + "2026-03-10,26,18,0,18,0,0\n2026-03-11,26,18,0,18,0,0\n",
			strings.TrimSuffix(htzHeader, "\n") + ",htz,level\n2026-03-10,26,18,0,18,0,0,130,5\n2026-03-11,26,18,0,18,0,0,130,5\n",
			"line 2: from here on 降水记录只有连续1天无雨、此前不详，按8天以上无雨计\n",
			[]string{"htz"},
		},
	} {
		code, out, said := runTable(t, tt.in, tt.args...)
		if code != exitOK || out != tt.out || said != tt.said {
			t.Errorf("%s: exit code %d\n%s%s\nwant\n%s%s", tt.name, code, out, said, tt.out, tt.said)
		}
	}
}

// A bad row is named by line and column, and nothing is written.
func TestDangerTableFaultsAreNamed(t *testing.T) {
	good := "2026-04-13,17,42,25,0\n"
	for _, tt := range []struct {
		in   string
		want string
		code int
		args string
	}{
		{"", "standard input is empty", exitError, "fwi"},
		{"date,temp_c,rh_pct,wind_kmh\n", "line 1, column rain_mm: it is missing", exitError, "fwi"},
		{"date,temp_c,rh_pct,wind_kmh,rain_mm,rh_pct\n", "line 1, column rh_pct: it is there twice", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,142,25,0\n", "line 3, column rh_pct: 142; want 0 to 100", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,42,-1,0\n", "line 3, column wind_kmh: -1; want 0 to 500", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,42,25,-0.1\n", "line 3, column rain_mm: -0.1", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,NaN,42,25,0\n", `line 3, column temp_c: "NaN"; want a number`, exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,1e999,42,25,0\n", `line 3, column temp_c: "1e999"; want a number`, exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,1_7,42,25,0\n", `line 3, column temp_c: "1_7"; want a number`, exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,42,0x1p4,0\n", `line 3, column wind_kmh: "0x1p4"; want a number`, exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,,25,0\n", "line 3, column rh_pct: empty; want a number", exitError, "fwi"},
		{fwiHeader + good + "2026-04-13,17,42,25,0\n", "line 3, column date: 2026-04-13; want a day after 2026-04-13", exitError, "fwi"},
		{fwiHeader + good + "2026-04-12,17,42,25,0\n", "line 3, column date: 2026-04-12", exitError, "fwi"},
		{fwiHeader + "2026/4/13,17,42,25,0\n", "line 2, column date: 2026/4/13; want a day as 2026-03-14", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,42,25\n", "line 3, column rain_mm: 4 cells, the first line has 5", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,17,42,25,0,1\n", "line 3, column rain_mm: 6 cells", exitError, "fwi"},
		{fwiHeader + "\n,,,,\n" + good, "line 3: empty, in the middle", exitError, "fwi"},
		{fwiHeader + good + "2026-04-14,\"17,42,25,0\n", "line ", exitError, "fwi"},
		{fwiHeader + "2026-04-14,1\"7,42,25,0\n", "line 2, column ", exitError, "fwi"},
		{htzHeader + "2026-03-10,22,25,3,9,101,0\n", "line 2, column green_pct: 101; want 0 to 100", exitError, "htz"},
		{htzHeader + "2026-03-10,22,25,NA,9,,0\n", `line 2, column rain_mm: "NA"; want a number`, exitError, "htz"},
		{fwiHeader + good, "--lat: 91", exitUsage, "fwi --lat 91"},
		{fwiHeader + good, "--start: ", exitUsage, "fwi --start 85,6"},
		{fwiHeader + good, "--start: ffmc: 102; want 0 to 101", exitUsage, "fwi --start 102,6,15"},
		{fwiHeader + good, `--start: "NaN" is not a number`, exitUsage, "fwi --start NaN,6,15"},
		{fwiHeader + good, `--start: "1_5" is not a number`, exitUsage, "fwi --start 85,6,1_5"},
		{fwiHeader + good, "standard input", exitUsage, "fwi in.csv"},
		{htzHeader, "standard input", exitUsage, "htz in.csv"},
		{htzHeader, "nope", exitUsage, "htz --nope"},
	} {
		code, out, said := runTable(t, tt.in, strings.Fields(tt.args)...)
		if code != tt.code || out != "" || !strings.Contains(said, tt.want) {
			t.Errorf("%s of %q: exit code %d, out %q, said %q; want %q", tt.args, tt.in, code, out, said, tt.want)
		}
	}
	for _, args := range [][]string{{"fwi", "--help"}, {"htz", "--help"}} {
		code, out, said := runTable(t, "", args...)
		if code != exitOK || said != "" || !strings.Contains(out, "Example") || !strings.Contains(out, "| firewatch danger "+args[0]) {
			t.Errorf("%v: %d %s%s", args, code, out, said)
		}
	}
}

func TestDangerFWIGivesTheBooksTable(t *testing.T) {
	raw, err := os.ReadFile(testdata(t, "fwi", "vanwagner_pickett_1985_sample_49day.csv"))
	if err != nil {
		t.Fatal(err)
	}
	book, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	in := fwiHeader
	for _, r := range book[1:] {
		in += fmt.Sprintf("1985-%02s-%02s,%s\n", r[0], r[1], strings.Join(r[3:7], ","))
	}
	code, out, said := runTable(t, in, "fwi", "--lat", "44", "--book-constants")
	if code != exitOK || said != "" {
		t.Fatal(code, said)
	}
	got, err := csv.NewReader(strings.NewReader(out)).ReadAll()
	if err != nil || len(got) != 50 {
		t.Fatal(len(got), err)
	}
	for i, r := range got[1:] {
		for k := range 6 {
			v, err := strconv.ParseFloat(r[5+k], 64)
			if err != nil {
				t.Fatal(err)
			}
			if s := strconv.FormatFloat(v, 'f', 1, 64); s != book[i+1][7+k] {
				t.Errorf("%s %s: %s, the book has %s", r[0], got[0][5+k], s, book[i+1][7+k])
			}
		}
	}
}

func TestFiguresKeepSixDigitsThatCount(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0.0000", 1234.56789: "1234.5679", 87.64941: "87.6494", 9.5: "9.50000", 0.00001234567: "0.0000123457", 1e-30: "0.000000000000000000",
	} {
		if got := figure(v); got != want {
			t.Errorf("%g: %s, want %s", v, got, want)
		}
	}
}

// Whatever stands on standard input: a table comes out whole, with a row for each
// day and finite figures, or a fault that names where it is.
func FuzzDangerTable(f *testing.F) {
	f.Add([]byte(fwiHeader+"2026-04-13,17,42,25,0\n2026-04-15,17,42,25,0\n"), false)
	f.Add([]byte("\uFEFF"+htzHeader+"2026-03-10,22,25,3,9,,\r\n2026-03-11,,25,0,9,,\r\n,,,,,,\r\n"), true)
	f.Add([]byte(fwiHeader+"2026-04-13,17,\"42\n\",25,0\n"), false)
	f.Fuzz(func(t *testing.T, raw []byte, htz bool) {
		name := "fwi"
		if htz {
			name = "htz"
		}
		code, out, said := runTable(t, string(raw), name)
		if code != exitOK {
			if out != "" || said == "" {
				t.Fatalf("exit code %d, %q, %q", code, out, said)
			}
			return
		}
		r := csv.NewReader(strings.NewReader(out))
		rows, err := r.ReadAll() // each as long as the first
		if err != nil || len(rows) == 0 {
			t.Fatalf("%v of %q", err, out)
		}
		for i, head := range rows[0] {
			for _, row := range rows[1:] {
				switch head {
				case "ffmc", "dmc", "dc", "isi", "bui", "fwi", "dsr", "htz":
					if v, err := strconv.ParseFloat(row[i], 64); htz && row[i] == "" {
						continue
					} else if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
						t.Fatalf("%s: %q", head, row[i])
					}
				case "date":
					if _, err := danger.ParseDate(strings.TrimSpace(row[i])); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	})
}
