package alerts

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paulmach/orb"
	"github.com/paulmach/orb/geo"

	contract "firewatch/firmware-contracts"
)

// OrderMode says what a rule does with the order that it would give.
type OrderMode = string

// The modes of an OrderPolicy.
const (
	ModePropose   OrderMode = "propose"   // a person gives the order
	ModeAutomatic OrderMode = "automatic" // the order is given at once
)

// OrderPolicy says which teams an alert calls, and for what.
type OrderPolicy struct {
	Mode         string    `json:"mode" yaml:"mode"`                 // propose or automatic
	Kind         OrderKind `json:"kind" yaml:"kind"`                 // what the teams are asked for
	Nearest      int       `json:"nearest" yaml:"nearest"`           // neighbouring township teams beside the township's own
	WithinKM     float64   `json:"within_km" yaml:"within_km"`       // km from the alert to a neighbour's base; 0: no limit
	Professional bool      `json:"professional" yaml:"professional"` // the county's professional team too
}

// Validate reports why the policy cannot be used, or nil.
func (p OrderPolicy) Validate() error {
	switch {
	case p.Mode != ModePropose && p.Mode != ModeAutomatic:
		return fmt.Errorf("mode %q: want %s or %s", p.Mode, ModePropose, ModeAutomatic)
	case !slices.Contains(OrderKinds, p.Kind):
		return fmt.Errorf("kind %q: want one of %v", p.Kind, OrderKinds)
	case p.Nearest < 0 || p.Nearest > 200:
		return fmt.Errorf("nearest %d: want 0..200", p.Nearest)
	case !(p.WithinKM >= 0 && p.WithinKM <= 1000):
		return fmt.Errorf("within_km %v: want 0..1000", p.WithinKM)
	}
	return nil
}

// Targets names whom an order is for: the named teams, and the teams of the
// areas and below. Kinds, when given, keeps only such teams of the areas; kinds
// without areas means every team of those kinds.
type Targets struct {
	Areas []string
	Teams []contract.TeamID
	Kinds []TeamKind
}

// Pick is one team that an order goes to.
type Pick struct {
	Team   Team
	Reason string // why, 中文
}

// Chinese is the kind's name on screen and in texts.
func (k OrderKind) Chinese() string {
	switch k {
	case OrderStandby:
		return "待命"
	case OrderForward:
		return "靠前驻防"
	case OrderCheck:
		return "核查"
	case OrderMuster:
		return "集结"
	case OrderStandDown:
		return "解除"
	}
	return string(k)
}

// Chinese is the kind's name on screen and in texts.
func (k TeamKind) Chinese() string {
	switch k {
	case Professional:
		return "专业森林消防队"
	case TownshipTeam:
		return "乡镇专业扑火队"
	}
	return string(k)
}

// PickTeams finds the teams of an order that a person gives. Each team comes
// once, named ones first, then by area code and id. A name or an area that is
// not known, and a group that holds no team, is a shortfall: nobody is left out
// in silence.
func PickTeams(areas Areas, teams []Team, t Targets) (picks []Pick, shortfalls []string) {
	taken := make(map[contract.TeamID]bool, len(teams))
	add := func(m Team, reason string) {
		if !taken[m.ID] {
			taken[m.ID] = true
			picks = append(picks, Pick{Team: m, Reason: reason})
		}
	}
	byID := make(map[contract.TeamID]Team, len(teams))
	for _, m := range teams {
		byID[m.ID] = m
	}
	for _, id := range unique(t.Teams) {
		if m, ok := byID[id]; ok {
			add(m, "点名下达")
		} else {
			shortfalls = append(shortfalls, fmt.Sprintf("没有编号为 %s 的队伍", id))
		}
	}
	var kinds []TeamKind
	for _, k := range unique(t.Kinds) {
		if k == Professional || k == TownshipTeam {
			kinds = append(kinds, k)
		} else {
			shortfalls = append(shortfalls, fmt.Sprintf("没有“%s”这一队伍类别", k))
		}
	}
	kindsAsked := len(t.Kinds) > 0
	sorted := slices.SortedFunc(slices.Values(teams), func(a, b Team) int {
		return cmp.Or(cmp.Compare(a.Area, b.Area), cmp.Compare(a.ID, b.ID))
	})
	group := func(in func(Team) bool, where string) {
		if !kindsAsked {
			found := false
			for _, m := range sorted {
				if in(m) {
					found = true
					add(m, "属于"+where)
				}
			}
			if !found {
				shortfalls = append(shortfalls, where+"没有登记队伍")
			}
			return
		}
		for _, k := range kinds {
			found := false
			for _, m := range sorted {
				if m.Kind == k && in(m) {
					found = true
					add(m, "属于"+where+"的"+k.Chinese())
				}
			}
			if !found {
				shortfalls = append(shortfalls, where+"没有登记"+k.Chinese())
			}
		}
	}
	for _, code := range unique(t.Areas) {
		a, ok := areas[code]
		if !ok {
			shortfalls = append(shortfalls, fmt.Sprintf("没有代码为 %s 的区域", code))
			continue
		}
		group(func(m Team) bool { return areas.Within(m.Area, code) }, areaName(a))
	}
	if len(t.Areas) == 0 && len(kinds) > 0 {
		group(func(Team) bool { return true }, "全部辖区")
	}
	if len(t.Areas) == 0 && len(t.Teams) == 0 && len(t.Kinds) == 0 {
		shortfalls = append(shortfalls, "没有指定任何队伍或区域")
	}
	return picks, shortfalls
}

// PickForAlert finds the teams that an alert calls: the township's own, then
// the nearest township teams, then the county's professional team, or the
// city's where the county has none.
func PickForAlert(areas Areas, teams []Team, a Alert, p OrderPolicy) (picks []Pick, shortfalls []string) {
	here := slices.SortedFunc(slices.Values(teams), func(a, b Team) int { return cmp.Compare(a.ID, b.ID) })
	place, known := orb.Point{a.Lon, a.Lat}, a.HasPlace
	township, inRoster := areas[a.Area]
	if !inRoster {
		shortfalls = append(shortfalls, fmt.Sprintf("告警不在已登记的区域内（%s）", cmp.Or(a.Area, "无区域代码")))
	} else if !known && (township.Lat != 0 || township.Lon != 0) {
		place, known = orb.Point{township.Lon, township.Lat}, true
	}

	own := false
	for _, m := range here {
		if inRoster && m.Kind == TownshipTeam && m.Area == a.Area {
			own = true
			picks = append(picks, Pick{Team: m, Reason: "告警所在乡镇（" + areaName(township) + "）的队伍"})
		}
	}
	if inRoster && !own {
		shortfalls = append(shortfalls, areaName(township)+"没有登记乡镇专业扑火队")
	}
	if inRoster && !own { // the nearest one stands in, rather than nobody
		p.Nearest = max(p.Nearest, 1)
	}
	if p.Nearest > 0 {
		more, short := nearest(here, a, p, place, known)
		picks, shortfalls = append(picks, more...), append(shortfalls, short...)
	}
	if p.Professional {
		more, short := professional(areas, here, a.Area)
		picks, shortfalls = append(picks, more...), append(shortfalls, short...)
	}
	return picks, shortfalls
}

func nearest(teams []Team, a Alert, p OrderPolicy, place orb.Point, known bool) (picks []Pick, shortfalls []string) {
	if !known {
		return nil, []string{"告警没有位置，无法挑选最近的队伍"}
	}
	type near struct {
		team Team
		km   float64
	}
	var all []near
	for _, m := range teams {
		if m.Kind != TownshipTeam || m.Area == a.Area && a.Area != "" {
			continue
		}
		km := geo.DistanceHaversine(place, orb.Point{m.Lon, m.Lat}) / 1000
		if p.WithinKM == 0 || km <= p.WithinKM {
			all = append(all, near{m, km})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(a.km, b.km) })
	for _, n := range all[:min(len(all), p.Nearest)] {
		picks = append(picks, Pick{Team: n.team, Reason: fmt.Sprintf("邻近乡镇队伍，距告警 %.1f 公里", n.km)})
	}
	if len(all) < p.Nearest {
		where := "已登记的"
		if p.WithinKM > 0 {
			where = fmt.Sprintf("%g 公里内的", p.WithinKM)
		}
		shortfalls = append(shortfalls, fmt.Sprintf("应调 %d 支邻近乡镇队伍，%s只有 %d 支", p.Nearest, where, len(all)))
	}
	return picks, shortfalls
}

func professional(areas Areas, teams []Team, code string) (picks []Pick, shortfalls []string) {
	county := ""
	for _, up := range areas.Chain(code) {
		if up.Level == Township {
			continue
		}
		for _, m := range teams {
			if m.Kind == Professional && m.Area == up.Code {
				reason := areaName(up) + "专业森林消防队"
				if county != "" {
					reason = county + "没有专业队，由" + reason + "支援"
				}
				picks = append(picks, Pick{Team: m, Reason: reason})
			}
		}
		if len(picks) > 0 {
			return picks, shortfalls
		}
		shortfalls = append(shortfalls, areaName(up)+"没有登记专业森林消防队")
		county = cmp.Or(county, areaName(up))
	}
	if len(shortfalls) == 0 {
		shortfalls = []string{"告警所在区县不明，没有调动专业森林消防队"}
	}
	return nil, shortfalls
}

// NobodyNotified is the shortfall of an order that reaches no team at all.
const NobodyNotified = "没有任何队伍收到此命令"

// PlanOrder makes the order that a rule gives because of an alert, and its
// deliveries. Its idempotency key is the alert's, so that an alert gives one
// order however often it is judged. AnswerBy follows the chase, or DefaultPolicy
// when that is zero.
func PlanOrder(
	areas Areas, a Alert, p OrderPolicy, chase Policy, picks []Pick, shortfalls []string, now time.Time,
) (Order, []Delivery) {
	level := max(a.Severity, Blue)
	o := Order{
		ID: NewID("or", now), Kind: p.Kind, Level: level, Demo: a.Demo,
		Alert: a.ID, Issuer: "rule:" + a.Rule, Area: CommonArea(areas, a.Area, picks),
		Lat: a.Lat, Lon: a.Lon, HasPlace: a.HasPlace,
		Issued: now, AnswerBy: chase.OrDefault().AnswerBy(level, now), Status: OrderOpen,
		IdempotencyKey: "alert:" + a.ID, Shortfalls: slices.Clone(shortfalls),
	}
	where := ""
	if t, ok := areas[a.Area]; ok {
		where = "（" + areaName(t) + "）"
	}
	o.Text = fmt.Sprintf("%s%s%s。请%s，并立即应答。", strings.TrimRight(a.Summary, "。"), where, a.since(now), p.Kind.Chinese())
	if len(picks) == 0 && !slices.Contains(o.Shortfalls, NobodyNotified) {
		o.Shortfalls = append(o.Shortfalls, NobodyNotified)
	}
	return o, NewDeliveries(o, picks, now)
}

// since tells what was measured last after the alert was raised: a later order,
// as of a fire that was refuted and shows itself again, rests on that and not on
// what the summary tells.
func (a *Alert) since(now time.Time) string {
	if len(a.Evidence) == 0 {
		return ""
	}
	last := a.Evidence[len(a.Evidence)-1].Measured
	if !last.After(a.Raised) {
		return ""
	}
	var told []string
	for _, e := range a.Evidence {
		if f, ok := contract.FieldByName(e.Field); ok && !f.Info().Bool && e.Measured.Equal(last) && e.Device == a.Device {
			e.Note = ""
			zh, _ := e.words()
			told = append(told, zh)
		}
	}
	if len(told) == 0 {
		return ""
	}
	return "；" + clock(now, last) + " 测得" + strings.Join(told, "、")
}

// NewDeliveries makes one delivery per picked team, due at once.
func NewDeliveries(o Order, picks []Pick, now time.Time) []Delivery {
	ds := make([]Delivery, 0, len(picks))
	seen := make(map[contract.TeamID]bool, len(picks))
	for _, p := range picks {
		if seen[p.Team.ID] {
			continue
		}
		seen[p.Team.ID] = true
		ds = append(ds, Delivery{
			Order: o.ID, Team: p.Team.ID, Reason: p.Reason,
			State: DeliveryPending, NextAt: now, Updated: now,
		})
	}
	return ds
}

// CommonArea is the smallest area that holds the area, when it is known, and
// the areas of all picks; empty when there is none.
func CommonArea(areas Areas, area string, picks []Pick) string {
	var codes []string
	if _, ok := areas[area]; ok {
		codes = append(codes, area)
	}
	for _, p := range picks {
		codes = append(codes, p.Team.Area)
	}
	if len(codes) == 0 {
		return ""
	}
	for _, up := range areas.Chain(codes[0]) {
		if !slices.ContainsFunc(codes, func(c string) bool { return !areas.Within(c, up.Code) }) {
			return up.Code
		}
	}
	return ""
}

// Wire is the order as a team's terminal sees it. A drill and a demonstration
// are marked in the text itself, so that no channel can lose the mark.
func (o Order) Wire() contract.Order {
	text := o.Text
	if o.Demo && !strings.Contains(text, "【演示】") {
		text = "【演示】" + text
	}
	if o.Drill && !strings.Contains(text, "【演练】") {
		text = "【演练】" + text
	}
	return contract.Order{
		ID: o.ID, Kind: string(o.Kind), Level: o.Level.String(), Text: clipText(text, contract.MaxTextBytes),
		Drill: o.Drill, Issued: o.Issued, AnswerBy: o.AnswerBy, Issuer: o.Issuer,
		Lat: o.Lat, Lon: o.Lon, HasPlace: o.HasPlace,
	}
}

// clipText shortens s to at most n bytes without cutting a character.
func clipText(s string, n int) string {
	if len(s) <= n {
		return s
	}
	const more = "…"
	cut := n - len(more)
	for cut > 0 && s[cut]&0xC0 == 0x80 {
		cut--
	}
	return s[:cut] + more
}

func areaName(a Area) string { return cmp.Or(a.Name, a.Code) }

func unique[T comparable](in []T) []T {
	var out []T
	for _, x := range in {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
