package contractv1

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	contract "firewatch/firmware-contracts"
)

func readme(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var fence = regexp.MustCompile("(?s)```(\\w*)\n(.*?)```")

func TestREADMEExamplesAreGood(t *testing.T) {
	text := readme(t, "../README.md")
	var fromHex, lastJSON []contract.Reading
	n := map[string]int{}
	for _, m := range fence.FindAllStringSubmatch(text, -1) {
		lang, block := m[1], m[2]
		n[lang]++
		switch lang {
		case "json":
			r := Check([]byte(block), CheckOptions{Now: goldenNow})
			if !r.OK() || len(r.Ignored) > 0 {
				t.Errorf("%s\n%v %v", block, r.Faults, r.Ignored)
			}
			lastJSON, _ = Decode(nil, topicOf("environment"), []byte(block), goldenNow)
			if fromHex != nil && n["after"] == 0 {
				n["after"]++
				if d := cmp.Diff(lastJSON, fromHex, comparers); d != "" {
					t.Errorf("the CBOR example is another document:\n%s", d)
				}
			}
		case "hex":
			b, err := hex.DecodeString(strings.ReplaceAll(block, "\n", ""))
			if err != nil {
				t.Fatal(err)
			}
			file, err := os.ReadFile("testdata/valid/environment-single.cbor")
			if err != nil || !bytes.Equal(b, file) || !strings.Contains(text, strconv.Itoa(len(b))+" bytes") {
				t.Errorf("the hex is not the file's: %v", err)
			}
			fromHex, _ = Decode(nil, topicOf("environment"), b, goldenNow)
			if len(fromHex) != 1 {
				t.Error("the hex is no reading")
			}
		}
	}
	if n["json"] < 5 || n["hex"] != 1 || n["after"] != 1 {
		t.Errorf("examples: %v", n)
	}
}

func TestREADMECommandsAreGood(t *testing.T) {
	topic := regexp.MustCompile(`-t (\S+)`)
	payload := regexp.MustCompile(`-m "((?:[^"\\]|\\.)*)"`)
	n := 0
	for line := range strings.Lines(readme(t, "../README.md")) {
		if !strings.HasPrefix(line, "mosquitto_") {
			continue
		}
		n++
		on := topic.FindStringSubmatch(line)
		if on == nil {
			t.Errorf("no topic: %s", line)
			continue
		}
		if _, err := contract.ParseTopic(on[1]); err != nil {
			t.Error(err)
		}
		if m := payload.FindStringSubmatch(line); m != nil {
			p := strings.NewReplacer(`\"`, `"`, "$(date +%s%3N)", "1773475200000").Replace(m[1])
			if r := Check([]byte(p), CheckOptions{Topic: on[1], Now: goldenNow}); !r.OK() || len(r.Ignored) > 0 {
				t.Errorf("%s: %v %v", p, r.Faults, r.Ignored)
			}
		}
	}
	if n < 5 {
		t.Errorf("%d commands", n)
	}
}

func TestREADMESaysTheLimitsAndWords(t *testing.T) {
	text := readme(t, "../README.md")
	for _, s := range []string{
		strconv.Itoa(contract.MaxMessageBytes), strconv.Itoa(contract.MaxReadings), strconv.Itoa(contract.MaxTextBytes) + " bytes",
		strconv.Itoa(contract.MaxCodeBytes) + " bytes", strconv.Itoa(contract.MaxIDBytes) + " bytes", strconv.Itoa(contract.MaxSeq),
		"| " + strconv.Itoa(maxDepth) + " |", contract.Earliest.Format("2006-01-02"), strconv.Itoa(int(contract.MaxAhead.Minutes())) + " minutes",
		"`" + strings.Join(contract.SOSCauses, "` `") + "`", "`" + strings.Join(contract.ReportCategories, "` `") + "`",
	} {
		if !strings.Contains(text, s) {
			t.Errorf("the README does not say %q", s)
		}
	}
	for _, r := range receipts {
		if !strings.Contains(text, "`"+r+"`") {
			t.Errorf("the README does not say %s", r)
		}
	}
	for _, u := range append(slices.Clone(contract.Uplinks), contract.DeviceOrders("+"), contract.TeamOrders("+")) {
		id := "{device}"
		if strings.Contains(u, "/teams/") {
			id = "{team}"
		}
		if s := "`" + strings.Replace(u, "+", id, 1) + "`"; !strings.Contains(text, s) {
			t.Errorf("the README does not name %s", s)
		}
	}
}

func TestREADMELinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#]+)\)`)
	for _, name := range []string{"../README.md", "../README.zh-CN.md"} {
		for _, m := range link.FindAllStringSubmatch(readme(t, name), -1) {
			if _, err := os.Stat("../" + m[1]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// The sentence on last wills holds a payload of its own.
func TestLastWillIsGood(t *testing.T) {
	const will = `{"t":1773475200000,"online":false}`
	for _, text := range []string{readme(t, "../README.md"), readme(t, "../README.zh-CN.md"), readme(t, "asyncapi.yaml")} {
		if !strings.Contains(text, will) {
			t.Error("the last will is not there")
		}
	}
	if r := Check([]byte(will), CheckOptions{Topic: "fw/v1/sensors/s1/status", Now: goldenNow}); !r.OK() {
		t.Error(r.Faults)
	}
	if !json.Valid([]byte(will)) {
		t.Error("not JSON")
	}
}
