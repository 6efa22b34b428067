//go:build linux

package main

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	contract "firewatch/firmware-contracts"
	contractv1 "firewatch/firmware-contracts/v1"
)

func TestReadingsAreOfTheContract(t *testing.T) {
	now := time.Now().UTC()
	begin := floodBegin(now, 5000)
	for _, device := range []int{0, 1, 777, maxDevices} {
		for _, seq := range []int64{0, 1, 999, 1000, 4999, 123_456} {
			payload := appendReading(nil, device, seq, begin.Add(time.Duration(seq%5000)*time.Second))
			if n := len(payload); n < 150 || n > 180 {
				t.Errorf("%d bytes: %s", n, payload)
			}
			topic, err := contract.ParseTopic(contract.Uplink(contract.Tracker, contract.Position, deviceID(device)))
			if err != nil {
				t.Fatal(err)
			}
			readings, faults := contractv1.Decode(nil, topic, payload, now)
			if len(faults) > 0 || len(readings) != 1 || !readings[0].HasSeq || readings[0].Seq != uint64(seq) || readings[0].Values.Len() != 9 {
				t.Errorf("%s: %+v %v", payload, readings, faults)
			}
		}
	}
}

func TestAcks(t *testing.T) {
	a := acks{next: 65_535}
	total := 0
	for _, part := range [][]byte{{0x40}, {2, 0xff}, {0xff, 0x40, 2, 0, 1, 0x40, 2, 0}, {2}} {
		n, err := a.take(part)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	if total != 3 || a.next != 3 {
		t.Errorf("%d PUBACKs, next %d", total, a.next)
	}
	for _, wrong := range [][]byte{{0x40, 2, 0, 4}, {0x50, 2, 0, 3}, {0x40, 3, 0, 3}} {
		b := a
		if _, err := b.take(wrong); !errors.Is(err, errOrder) {
			t.Errorf("% x: %v", wrong, err)
		}
	}
}

func TestPublishHasTheLengthThatItSays(t *testing.T) {
	for _, n := range []int{10, 94, 95, 96, 16_300, 16_400} {
		b := appendPublish(nil, "t/opic", 0x1234, make([]byte, n))
		length, used := 0, 1
		for shift := 0; ; shift += 7 {
			c := b[used]
			used++
			length |= int(c&0x7f) << shift
			if c < 0x80 {
				break
			}
		}
		if b[0] != 0x32 || length != len(b)-used || !bytes.HasPrefix(b[used:], []byte("\x00\x06t/opic\x12\x34")) {
			t.Errorf("%d: says %d, has %d", n, length, len(b)-used)
		}
	}
}

func TestMarkdown(t *testing.T) {
	e := experiments()[slices.IndexFunc(experiments(), func(e experiment) bool { return e.name == "drain" })]
	e.table = []column{{keyRate, "rate", 0}, {keyCPU, "CPU", 1}, {keyLost, "lost", 0}}
	for _, tt := range []struct {
		name string
		runs map[string][]values
		want []string
		not  string
	}{
		{
			"medians of the undisturbed, and what holds",
			map[string][]values{
				"telegraf": {{keyRate: 10_000, keyCPU: 60, keyLost: 0}, {keyRate: 30_000, keyCPU: 60, keyLost: 0}, {keyRate: 20_000, keyCPU: 60, keyLost: 0}},
				"paho":     {{keyRate: 60_000, keyCPU: 5, keyLost: 0}, {keyRate: 1, keyCPU: 99, keyLost: 7, keyOthers: 0.5}},
			},
			[]string{
				"| mosquitto + Telegraf | 20,000 (10,000–30,000) | 60.0 | 0 |", "| mosquitto + firewatch | 60,000 | 5.0 | 0 |",
				"Telegraf: 3, wanted at least 2: holds", "Telegraf: 0.08, wanted at most 0.33: holds", "lost by firewatch: 0, wanted at most 0: holds",
			},
			"disturbed",
		},
		{
			"disturbed, and what does not hold",
			map[string][]values{
				"telegraf": {{keyRate: 10_000, keyCPU: 60, keyLost: 0, keyOthers: 0.5}},
				"paho":     {{keyRate: 15_000, keyCPU: 60, keyLost: 0, keyOthers: 0.5}, {keyRate: 15_000, keyCPU: 60, keyLost: -2, keyOthers: 0.5}},
			},
			[]string{
				"| mosquitto + firewatch (disturbed) | 15,000 | 60.0 | -1 (-2–0) |", "1.50, wanted at least 2: **does not hold**",
				"1, wanted at most 0.33: **does not hold**", "lost by firewatch: 2, wanted at most 0: **does not hold**",
			},
			": holds",
		},
		{"one side alone claims no ratio", map[string][]values{"paho": {{keyRate: 60_000, keyLost: 0}}}, []string{"| 60,000 | – | 0 |"}, "wanted at least"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			table{experiment: e, runs: tt.runs, failed: map[string]error{"embedded": errors.New("no\nluck")}}.markdown(&b, settings{n: 5})
			for _, want := range append(tt.want, "- firewatch: a run failed: no luck\n") {
				if !strings.Contains(b.String(), want) {
					t.Errorf("%q is not in\n%s", want, &b)
				}
			}
			if strings.Contains(b.String(), tt.not) {
				t.Errorf("%q is in\n%s", tt.not, &b)
			}
		})
	}
}

func TestShow(t *testing.T) {
	for _, tt := range []struct {
		x      float64
		digits int
		want   string
	}{{0, 0, "0"}, {999.6, 0, "1,000"}, {1234567.25, 1, "1,234,567.2"}, {-0.2, 0, "0"}, {-1500, 0, "-1,500"}, {0.05, 2, "0.05"}} {
		if got := show(tt.x, tt.digits); got != tt.want {
			t.Errorf("%v: %s, want %s", tt.x, got, tt.want)
		}
	}
}

func TestOwnCPUAndMemoryAreRead(t *testing.T) {
	pid := 1
	if memoryOf(pid, "VmRSS") <= 0 || memoryOf(pid, "VmHWM") < memoryOf(pid, "VmRSS") {
		t.Error("no memory of the first process")
	}
	if work, _ := busy(); work <= 0 || cpuOf(pid) < 0 || cpuOf(0) != 0 {
		t.Error("no time of the processors")
	}
}
