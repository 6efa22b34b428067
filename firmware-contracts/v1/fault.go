package contractv1

import (
	"strconv"
	"strings"
)

// A Rule names what a fault breaks. The set is closed and small, so it is fit
// for a metric's label.
type Rule string

// The rules.
const (
	RuleSize      Rule = "size"      // bytes of the message, readings in a batch, depth
	RuleSyntax    Rule = "syntax"    // not a well-formed document
	RuleTopic     Rule = "topic"     // the topic carries no such document
	RuleType      Rule = "type"      // another type than the key has
	RuleRange     Rule = "range"     // outside the range, or not finite
	RuleWhole     Rule = "whole"     // a fraction where a whole number is asked for
	RuleTime      Rule = "time"      // a measured time that cannot be believed
	RuleMissing   Rule = "missing"   // something required is not there
	RuleDuplicate Rule = "duplicate" // a key stands twice
	RuleText      Rule = "text"      // too long, or characters that are not allowed
	RuleWord      Rule = "word"      // not one of the words of the list
	RuleID        Rule = "id"        // not an id
)

// A Fault is what is wrong with a message, or with one reading of it. It is
// written for the engineer who can change the firmware.
type Fault struct { //nolint:errname // the word that the contract and its tools use
	Index  int    // of the reading in its batch; -1: the document as a whole
	Field  string // the key on the wire, or empty
	Rule   Rule
	Reason string // in English, without the index and the field
	Kept   bool   // the reading carries an alarm, or is a team's answer, and was taken all the same, without this field
	Raw    []byte // the reading, or the document: a part of the payload, not a copy
}

// Error says where and what, in one line.
func (f Fault) Error() string { return f.String() }

// String says where and what, in one line: "reading 3: temp_c: 412 is outside
// -60..300 °C".
func (f Fault) String() string {
	var b strings.Builder
	if f.Index >= 0 {
		b.WriteString("reading ")
		b.WriteString(strconv.Itoa(f.Index))
		b.WriteString(": ")
	}
	if f.Field != "" {
		b.WriteString(f.Field)
		b.WriteString(": ")
	}
	b.WriteString(f.Reason)
	switch {
	case f.Kept && f.Index < 0:
		b.WriteString(" (the answer was taken as of its receipt)")
	case f.Kept && f.Field == keyNameT:
		b.WriteString(" (the alarm was taken as of its receipt)")
	case f.Kept:
		b.WriteString(" (the alarm was taken without it)")
	}
	return b.String()
}
