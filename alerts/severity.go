package alerts

import "fmt"

var severityNames = [...]struct{ code, zh string }{
	Notice: {"notice", "提示"},
	Blue:   {"blue", "蓝色"},
	Yellow: {"yellow", "黄色"},
	Orange: {"orange", "橙色"},
	Red:    {"red", "红色"},
}

// String is the severity's name in data: notice, blue, yellow, orange, red.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s].code
	}
	return fmt.Sprintf("severity(%d)", uint8(s))
}

// Chinese is the severity's name on screen.
func (s Severity) Chinese() string {
	if int(s) < len(severityNames) {
		return severityNames[s].zh
	}
	return s.String()
}

// ParseSeverity is the inverse of String.
func ParseSeverity(name string) (Severity, error) {
	for i, n := range severityNames {
		if n.code == name {
			return Severity(i), nil
		}
	}
	return Notice, fmt.Errorf("severity %q: want notice, blue, yellow, orange or red", name)
}
