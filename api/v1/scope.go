package v1

import (
	"slices"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// scope is what an account may see and do. It is the only place that decides:
//
//   - An admin, and an office whose area is the top of the roster, have the whole
//     prefecture, and with it what has no area or an unknown one.
//   - An office has its area and those below: their devices, teams and alerts.
//     It sees an order when a target lies there, and of that order only the
//     deliveries there.
//   - A team has itself: its own team, the orders to it with its own delivery, and
//     an alert when one of its orders names it. It has no lists of devices or
//     alerts.
//   - Areas, seasons, fire danger and weather warnings are no secret among accounts.
//
// What lies outside is "not found", as if it did not exist. "Forbidden" is for
// calls that the role never may make, and for order targets, which the caller
// has named.
type scope struct {
	user   alerts.User
	roster *roster
}

// whole reports whether nothing lies outside.
func (s scope) whole() bool {
	switch s.user.Role {
	case alerts.RoleAdmin:
		return true
	case alerts.RoleOffice:
		a, ok := s.roster.areas[s.user.Area]
		return ok && a.Parent == ""
	case alerts.RoleTeam:
	}
	return false
}

// area reports whether what happens in the area is visible.
func (s scope) area(code string) bool {
	return s.whole() || s.user.Role == alerts.RoleOffice && s.roster.areas.Within(code, s.user.Area)
}

// team reports whether the team, and a delivery to it, is visible. A team that
// left the roster is seen by itself and by those who see all.
func (s scope) team(id contract.TeamID) bool {
	if s.user.Role == alerts.RoleTeam {
		return id != "" && id == s.user.Team
	}
	t, known := s.roster.team[id]
	return s.whole() || known && s.area(t.Area)
}

// order reports whether the order is visible, given the deliveries of it that
// are.
func (s scope) order(o alerts.Order, visible []alerts.Delivery) bool {
	return len(visible) > 0 || s.area(o.Area)
}

// deliveries keeps those that are visible.
func (s scope) deliveries(all []alerts.Delivery) []alerts.Delivery {
	if s.whole() {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(d alerts.Delivery) bool { return !s.team(d.Team) })
}

// event reports whether the account hears of the event. An order to a wider
// area than an office's own may have a target in it: then ask is true, and the
// order itself decides.
func (s scope) event(e alerts.Event) (hears, ask bool) {
	switch {
	case s.whole():
		return true, false
	case e.Type == alerts.EventWarning || e.Type == alerts.EventSeason || e.Type == alerts.EventDanger || e.Type == alerts.EventRoster:
		return true, false
	case s.user.Role == alerts.RoleTeam:
		return e.Team != "" && e.Team == s.user.Team, false
	case s.user.Role != alerts.RoleOffice:
		return false, false
	case e.Area == "" || s.area(e.Area):
		return true, false
	}
	return false, e.Type == alerts.EventOrder && s.roster.areas.Within(s.user.Area, e.Area)
}

// narrow is the area to ask the store for when the caller asked for one, empty
// for all; ok is false when nothing of it is visible.
func (s scope) narrow(asked string) (area string, ok bool) {
	switch {
	case s.whole():
		return asked, true
	case s.user.Role != alerts.RoleOffice || s.user.Area == "":
		return "", false
	case asked == "" || s.roster.areas.Within(s.user.Area, asked):
		return s.user.Area, true
	}
	return asked, s.area(asked)
}

// targets says which of an order's targets lie outside.
func (s scope) targets(t alerts.Targets) faults {
	var outside faults
	for _, code := range t.Areas {
		if !s.area(code) {
			outside.add("targets.areas", "区域 %s 不在本账号的辖区内", code)
		}
	}
	for _, id := range t.Teams {
		if !s.team(id) {
			outside.add("targets.teams", "队伍 %s 不在本账号的辖区内", id)
		}
	}
	return outside
}

// warn reports whether the account may post weather warnings: they change what
// the rules ask in the whole prefecture.
func (s scope) warn() bool { return s.whole() }
