package replay

import (
	"bytes"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

// FuzzParsers: whatever a file holds, the figures add up and what is to be
// published is taken by the contract.
func FuzzParsers(f *testing.F) {
	f.Add(byte(0), []byte(`<gpx><trk><trkseg><trkpt lat="39" lon="115"><ele>1</ele><time>2026-01-01T00:00:00Z</time></trkpt></trkseg></trk></gpx>`))
	f.Add(byte(1), []byte("$GPRMC,134730.361,A,5540.3220,N,01231.2858,E,1.06,86.57,041125,,,A*50\r\n$GPGGA,134731.361,5540.3252,N,01231.2946,E,1,10,0.8,36.1,M,41.5,M,,0000*6C\n"))
	f.Add(byte(2), []byte("1\n2\n3\n4\n5\n6\n39.9,116.1,0,350,39747.5,2025-10-26,12:21:32\n"))
	f.Add(byte(3), []byte("year,month,day,hour,TEMP,DEWP,RAIN,WSPM\n2025,3,1,0,1,0,NA,2\n"))
	f.Add(byte(4), []byte(",Temperature[C],Humidity[%],eCO2[ppm],Fire Alarm\n0,20,57.36,400,0\n"))
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, which byte, data []byte) {
		form := formats()[int(which)%len(formats())]
		s := Summary{LeftOut: map[string]int{}, ValuesLeftOut: map[string]int{}, Unread: map[string]int{}}
		in := &input{summary: &s}
		if err := form.read(bytes.NewReader(data), in); err != nil {
			return
		}
		o := Options{Device: "d-1", Start: now.AddDate(-1, 0, 0)}
		rs, err := in.readings(o, form, now)
		if err != nil {
			return
		}
		left := 0
		for _, n := range s.LeftOut {
			left += n
		}
		if s.Records != len(rs)+left {
			t.Errorf("%d records, %d readings, %d left out", s.Records, len(rs), left)
		}
		for i := range rs {
			doc, err := contractv1.AppendReadings(nil, contractv1.JSON, rs[i:i+1])
			if err != nil {
				t.Fatalf("%+v: %v", rs[i], err)
			}
			topic, err := contract.ParseTopic(contract.Uplink(rs[i].Kind, rs[i].Class, rs[i].Device))
			if err != nil {
				t.Fatal(err)
			}
			if got, faults := contractv1.Decode(nil, topic, doc, now); len(got) != 1 || len(faults) != 0 {
				t.Fatalf("%s: %v", doc, faults)
			}
		}
	})
}
