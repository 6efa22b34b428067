package influx

import (
	"slices"
	"strings"

	contract "firewatch/firmware-contracts"
)

// onlyMost is how many devices a question names; of more, it is about all.
const onlyMost = 32

// An only is the few devices that touched a window late, so that the summaries of
// the fleet need not be made anew; nil: of all. It is not changed once it is shared.
// The notes do not have it: after a start, all devices are summed up.
type only []contract.DeviceID

// with adds a device, and reports whether that changed anything.
func (o only) with(id contract.DeviceID) (only, bool) {
	if o == nil || slices.Contains(o, id) {
		return o, false
	}
	return o.and(only{contract.DeviceID(strings.Clone(string(id)))}), true
}

// and is the devices of both.
func (o only) and(p only) only {
	if o == nil || p == nil {
		return nil
	}
	both := slices.Clone(o)
	for _, id := range p {
		if !slices.Contains(both, id) {
			both = append(both, id)
		}
	}
	if len(both) > onlyMost {
		return nil
	}
	return both
}

// filter is the end of a condition.
func (o only) filter() string {
	if o == nil {
		return ""
	}
	terms := make([]string, len(o))
	for i, id := range o {
		terms[i] = ident(tagDevice) + " = " + literal(string(id))
	}
	return " AND (" + strings.Join(terms, " OR ") + ")"
}
