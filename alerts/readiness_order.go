package alerts

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	contract "firewatch/firmware-contracts"
)

// OrderKey names an order, also before it is given: its issuer, and the
// idempotency key that the issuer gives it by.
type OrderKey struct {
	Issuer string // username, or "table:VERSION"
	Key    string
}

// ByTable reports whether the readiness table gives the order, not a person.
func (k OrderKey) ByTable() bool { return strings.HasPrefix(k.Issuer, tableIssuer) }

// tableIssuer begins the issuer of what a readiness table does by itself.
const tableIssuer = "table:"

// raiseOrder is the key of the one order for rows that the table raised to one
// posture at once. Another raise has another key, for it was proposed at another
// time.
func raiseOrder(version string, p Posture, rows []*Readiness) OrderKey {
	h := sha256.New()
	for _, r := range rows {
		_, _ = fmt.Fprintf(h, "%s %d\n", r.Area, r.ProposedAt.UnixMilli())
	}
	return OrderKey{tableIssuer + version, fmt.Sprintf("readiness:%s:%x", p, h.Sum(nil)[:12])}
}

// DrillMark stands before the text of every drill.
const DrillMark = "【演练】"

// PlanPosture is the order that the rule has for areas of one posture: to the
// teams of the townships, and to the professional teams where they are among
// them. Its id, issuer, key and times are the caller's; without a pick it would
// reach nobody.
func PlanPosture(areas Areas, teams []Team, group []Readiness, rule PostureRule, drill bool) (Order, []Pick) {
	p := group[0].Posture
	var townships []string
	pros := false
	for i := range group {
		if group[i].Area == ProfessionalArea {
			pros = true
		} else {
			townships = append(townships, group[i].Area)
		}
	}
	slices.Sort(townships)
	var picks []Pick
	var shortfalls []string
	if len(townships) > 0 {
		picks, shortfalls = PickTeams(areas, teams, Targets{Areas: townships, Kinds: []TeamKind{TownshipTeam}})
	}
	if pros {
		more, short := PickTeams(areas, teams, Targets{Kinds: []TeamKind{Professional}})
		picks, shortfalls = append(picks, more...), append(shortfalls, short...)
	}
	why := group[0].Reasons
	if group[0].Posture != group[0].Proposed && group[0].Word != "" {
		why = []string{group[0].Word}
	}
	text := fmt.Sprintf("%s → %s。%s", strings.Join(why, "；"), p.Chinese(), rule.Text)
	if len(text) > contract.MaxTextBytes-len(DrillMark) {
		text = rule.Text
	}
	if drill {
		text = DrillMark + text
	}
	asked, err := json.Marshal([]any{"readiness", p, drill, pros, townships})
	if err != nil {
		asked = nil // strings always encode
	}
	return Order{
		Kind: rule.Order, Level: rule.Level, Text: text, Drill: drill, Area: CommonArea(areas, "", picks),
		Status: OrderOpen, Shortfalls: shortfalls, Asked: string(asked),
	}, picks
}

// OrderEvents are the events of an order that is given, and of its deliveries.
func OrderEvents(o *Order, ds []Delivery, picks []Pick, at time.Time) []Event {
	data, err := json.Marshal(map[string]string{"id": o.ID})
	if err != nil {
		data = nil // strings always encode
	}
	evs := []Event{{At: at, Type: EventOrder, Area: o.Area, Data: data}}
	for i := range ds {
		area := ""
		if k := slices.IndexFunc(picks, func(p Pick) bool { return p.Team.ID == ds[i].Team }); k >= 0 {
			area = picks[k].Team.Area
		}
		evs = append(evs, DeliveryEvent(&ds[i], *o, area, at, ""))
	}
	return evs
}
