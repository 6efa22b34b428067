package v1

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
)

// sourcesCache keeps the register that was read last: it is large, and reading
// it takes longer than asking which version rules.
type sourcesCache struct {
	mu    sync.Mutex
	saved time.Time
	table alerts.SourceTable
	index *alerts.SourceIndex
}

// sources is the register in force; ErrNotFound: there is none.
func (a *API) sources(c *gin.Context) (alerts.SourceTable, *alerts.SourceIndex, error) {
	d, err := a.Documents.Document(c.Request.Context(), alerts.DocumentSources, a.Now())
	if err != nil {
		return alerts.SourceTable{}, nil, fmt.Errorf("reading the source register: %w", err)
	}
	k := &a.sourcesKept
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.index == nil || k.index.Version() != d.Version || !k.saved.Equal(d.Saved) {
		t, err := alerts.ParseSources(d.Body)
		if err != nil {
			return t, nil, fmt.Errorf("reading the source register: %w", err)
		}
		slices.SortFunc(t.Sources, func(x, y alerts.Source) int { return strings.Compare(x.ID, y.ID) })
		k.table, k.index, k.saved = t, alerts.IndexSources(t), d.Saved
	}
	return k.table, k.index, nil
}

// listSources lists the register: all by id, or what is in force near a place,
// the nearest first.
func (a *API) listSources(c *gin.Context, s scope) error {
	q := query(c)
	area := q.text("area")
	kinds := make([]string, len(alerts.SourceKinds))
	for i, k := range alerts.SourceKinds {
		kinds[i] = string(k)
	}
	kind := q.word("kind", kinds...)
	near, km := q.near()
	at := q.time("at")
	if at.IsZero() {
		at = a.Now()
	}
	after, limit := q.cursor(), q.limit()
	if err := q.err(); err != nil {
		return err
	}
	if area != "" {
		if _, ok := s.roster.areas[area]; !ok {
			return noArea(area)
		}
	}
	out := SourceList{Items: []Source{}}
	table, index, err := a.sources(c)
	if errors.Is(err, alerts.ErrNotFound) {
		WriteJSON(c, http.StatusOK, out)
		return nil
	} else if err != nil {
		return err
	}
	shown := func(x *alerts.Source) bool {
		return s.area(x.Area) && (area == "" || s.roster.areas.Within(x.Area, area)) && (kind == "" || string(x.Kind) == kind)
	}
	out.Version, out.Effective = table.Version, atOrNull(table.Effective)
	if near != nil {
		for _, n := range index.Near(near[0], near[1], km, at) {
			if shown(&n.Source) && len(out.Items) < limit {
				x := toSource(s.roster, n.Source, at)
				x.DistanceM = &n.DistanceM
				out.Items = append(out.Items, x)
			}
		}
		WriteJSON(c, http.StatusOK, out)
		return nil
	}
	found := slices.DeleteFunc(slices.Clone(table.Sources), func(x alerts.Source) bool { return !shown(&x) })
	p := page(found, func(x alerts.Source) string { return x.ID }, after, limit)
	out.Items, out.Next = convert(p.Items, func(x alerts.Source) Source { return toSource(s.roster, x, at) }), p.Next
	WriteJSON(c, http.StatusOK, out)
	return nil
}

// near reads the place and the distance in km around which is asked; nil: none.
func (q *queryParams) near() (place *[2]float64, km float64) {
	lat, lon, dist := q.text("lat"), q.text("lon"), q.text("km")
	if lat == "" && lon == "" {
		if dist != "" {
			q.faults.add("km", "须与 lat、lon 同用")
		}
		return nil, 0
	}
	var p [2]float64
	var err1, err2, err3 error
	p[0], err1 = strconv.ParseFloat(lat, 64)
	p[1], err2 = strconv.ParseFloat(lon, 64)
	if err1 != nil || err2 != nil || alerts.CheckPlace(p[0], p[1]) != nil {
		q.faults.add("lat", "lat、lon 应为中国境内的 WGS-84 十进制度数")
	}
	km = 1
	if dist != "" {
		if km, err3 = strconv.ParseFloat(dist, 64); err3 != nil || !(km > 0 && km <= 100) {
			q.faults.add("km", "应为大于 0、至多 100 的数")
		}
	}
	return &p, km
}

func toSource(r *roster, x alerts.Source, at time.Time) Source {
	return Source{
		ID: x.ID, Kind: string(x.Kind), KindName: x.Kind.Chinese(), Name: x.Name, Area: x.Area, AreaName: r.areaName(x.Area),
		Lat: x.Lat, Lon: x.Lon, RadiusM: x.RadiusM, From: atOrNull(x.From), To: atOrNull(x.To), InForce: x.InForce(at),
		Holder: x.Holder, Phone: x.Phone,
	}
}

// createSources takes a new version of the register, as YAML, or as CSV with its
// version and day in the query. It is checked as a whole. It changes what alerts
// say everywhere, so it takes the whole prefecture.
func (a *API) createSources(c *gin.Context, s scope) error {
	if !s.whole() {
		return &Error{Code: CodeForbidden, Detail: "只有辖区为全市的账号可以录入火源登记"}
	}
	kind, _, err := mime.ParseMediaType(c.ContentType())
	asCSV := kind == typeCSV
	if err != nil || !asCSV && !slices.Contains([]string{"application/yaml", "application/x-yaml", "text/yaml"}, kind) {
		return &Error{Code: CodeMediaType, Detail: "请以 application/yaml 或 text/csv 发送火源登记"}
	}
	q := query(c)
	var version string
	var effective time.Time
	if asCSV {
		version = q.text("version")
		if effective, err = time.ParseInLocation(time.DateOnly, q.text("effective"), alerts.Zone); err != nil {
			q.faults.add("effective", "应为 YYYY-MM-DD")
		}
		if version == "" {
			q.faults.add("version", "请写明版本")
		}
	}
	if err := q.err(); err != nil {
		return err
	}
	body, err := io.ReadAll(c.Request.Body)
	if e := AsError(err); err != nil && e.Code == CodeTooLarge {
		return e
	} else if err != nil {
		return &Error{Code: CodeMalformed, Detail: "文档没有传完", Cause: err}
	}
	var table alerts.SourceTable
	if asCSV {
		table, err = alerts.ParseSourcesCSV(version, effective, body)
	} else {
		table, err = alerts.ParseSources(body)
	}
	if err != nil {
		return sourcesProblem(err)
	}
	if err := sourceAreas(s.roster, table); err != nil {
		return err
	}
	if asCSV {
		if body, err = table.YAML(); err != nil {
			return err
		}
		if len(body) > alerts.MaxSourceBytes {
			return &Error{Code: CodeTooLarge, Detail: "火源过多，请精简后再录入"}
		}
	}
	ctx, now := c.Request.Context(), at(a.Now())
	err = a.Documents.SaveDocument(ctx, alerts.Document{
		Kind: alerts.DocumentSources, Version: table.Version, Effective: table.Effective, Body: body,
		Author: s.user.Username, Saved: now, Approver: s.user.Username, Approved: now,
	}, []alerts.Event{documentEvent(alerts.DocumentSources, table.Version, now)})
	if errors.Is(err, alerts.ErrConflict) {
		return &Error{Code: CodeConflict, Detail: "此版本已有，内容不同；请换一个版本名", Cause: err}
	} else if err != nil {
		return fmt.Errorf("saving the source register: %w", err)
	}
	a.audit(ctx, s.user.Username, "sources.create", table.Version, fmt.Sprintf("%d sources", len(table.Sources)))
	a.Hub.Nudge()
	WriteJSON(c, http.StatusCreated, SourceVersion{
		Version: table.Version, Effective: at(table.Effective), Sources: len(table.Sources), Author: s.user.Username,
	})
	return nil
}

func documentEvent(kind alerts.DocumentKind, version string, now time.Time) alerts.Event {
	data, _ := json.Marshal(struct { // cannot fail
		Kind    alerts.DocumentKind `json:"kind"`
		Version string              `json:"version"`
	}{kind, version})
	return alerts.Event{At: now, Type: alerts.EventDocument, Data: data}
}

// sourcesProblem names the line of each fault.
func sourcesProblem(err error) error {
	e := &Error{Code: CodeInvalid, Detail: "火源登记有误，未录入", Cause: err}
	var fs faults
	for text := range strings.SplitSeq(err.Error(), "\n") {
		text = strings.TrimPrefix(text, "source register: ")
		field, why, ok := strings.Cut(text, ": ")
		if !ok || !strings.HasPrefix(field, "line ") {
			field, why = "", text
		}
		fs.add(field, "%s", clip(why, 300))
	}
	e.Fields = fs
	return e
}

// sourceAreas refuses sources of areas that the roster does not have: no office
// would see them.
func sourceAreas(r *roster, t alerts.SourceTable) error {
	var fs faults
	for _, x := range t.Sources {
		if _, ok := r.areas[x.Area]; !ok {
			fs.add("id "+x.ID, "名册中没有区域 %s", x.Area)
		}
	}
	if len(fs) > 0 {
		return &Error{Code: CodeInvalid, Detail: "火源登记有误，未录入", Fields: fs}
	}
	return nil
}
