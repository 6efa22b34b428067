package v1

import (
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// DeviceTables reads and writes tables of devices, in the formats csv and xlsx.
type DeviceTables interface {
	// Read reads a table that changes the devices of the roster: each as it is to
	// be, one without SecretHash keeps its own. Or all that is wrong with it. sheet is
	// the one of a workbook that was read.
	Read(format string, raw []byte, have alerts.Roster) (ds []alerts.Device, sheet string, wrong []alerts.RowFault)
	// Write writes a table that Read reads, without any credential.
	Write(format string, ds []alerts.Device) ([]byte, error)
}

// Bounds of tables.
const (
	maxTable   = 16 << 20 // bytes
	maxChanges = 1000     // that a report lists; it counts all
)

// The formats of tables and how they travel.
const (
	formatCSV  = "csv"
	formatXLSX = "xlsx"
	typeCSV    = "text/csv"
	typeXLSX   = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

func (a *API) exportDevices(c *gin.Context, s scope) error {
	desk, err := a.desk()
	if err != nil {
		return err
	}
	q := query(c)
	format := q.word("format", formatCSV, formatXLSX)
	area := q.text("area")
	if err := q.err(); err != nil {
		return err
	}
	kind := typeCSV
	if format == formatXLSX {
		kind = typeXLSX
	} else {
		format = formatCSV
	}
	var found []alerts.Device
	for _, d := range s.roster.devices {
		if s.area(d.Area) && (area == "" || s.roster.areas.Within(d.Area, area)) {
			found = append(found, d)
		}
	}
	raw, err := desk.Tables.Write(format, found)
	if err != nil {
		return fmt.Errorf("writing devices: %w", err)
	}
	c.Header("Content-Disposition", `attachment; filename="devices.`+format+`"`)
	WriteBytes(c, http.StatusOK, kind, raw)
	return nil
}

func (a *API) importDevices(c *gin.Context, s scope) error {
	desk, err := a.desk()
	if err != nil {
		return err
	}
	q := query(c)
	dry, remove := q.flag("dry_run"), q.flag("remove")
	if err := q.err(); err != nil {
		return err
	}
	format := ""
	switch kind, _, _ := mime.ParseMediaType(c.ContentType()); kind {
	case typeCSV:
		format = formatCSV
	case typeXLSX:
		format = formatXLSX
	default:
		return &Error{Code: CodeMediaType, Detail: "请以 " + typeCSV + " 或 " + typeXLSX + " 发送"}
	}
	// A workbook of this size takes some hundred MiB to read.
	if !desk.importing.TryLock() {
		return &Error{Code: CodeUnavailable, Detail: "另一份表格正在导入", After: 5 * time.Second}
	}
	defer desk.importing.Unlock()
	raw, err := io.ReadAll(c.Request.Body)
	if err != nil {
		return err
	}
	want, sheet, wrong := desk.Tables.Read(format, raw, alerts.Roster{Areas: s.roster.list, Devices: s.roster.devices})
	for _, d := range want {
		if _, known := s.roster.device[d.ID]; !known && slices.Contains(alerts.ReservedIDs, d.ID) {
			wrong = append(wrong, alerts.RowFault{Column: "id", Message: "编号不能是 " + string(d.ID)})
		}
	}
	if len(wrong) > 0 && !dry {
		return unfit(wrong)
	}
	var p alerts.DevicePlan
	if len(wrong) == 0 {
		p = alerts.PlanDevices(s.roster.devices, want, remove)
	}
	report := toReport(p, sheet, wrong, dry)
	if dry || len(p.Add)+len(p.Save)+len(p.Remove) == 0 {
		WriteJSON(c, http.StatusOK, report)
		return nil
	}
	p.Base = s.roster.version // what was compared with must still be so
	if err := desk.change(c, p.DeviceChange, a.Now()); err != nil {
		return err
	}
	a.changed(c, s, p.DeviceChange, "devices.import", "", fmt.Sprintf("%s: %d added, %d changed, %d removed", format, report.Added, report.Changed, report.Removed))
	WriteJSON(c, http.StatusOK, report)
	return nil
}

func unfit(wrong []alerts.RowFault) error {
	var f faults
	for _, w := range wrong {
		f.add(placeOf(w), "%s", w.Message)
	}
	return f.err()
}

// placeOf is where a fault is: devices!12:phone.
func placeOf(w alerts.RowFault) string {
	at := w.Sheet
	if w.Row > 0 {
		at = fmt.Sprintf("%s!%d", w.Sheet, w.Row)
	}
	if w.Column != "" {
		at += ":" + w.Column
	}
	return at
}

func toReport(p alerts.DevicePlan, sheet string, wrong []alerts.RowFault, dry bool) ImportReport {
	r := ImportReport{
		DryRun: dry, Sheet: sheet, Added: len(p.Add), Changed: len(p.Save), Removed: len(p.Remove), Unchanged: p.Unchanged, Changes: []ImportChange{},
		Errors: convert(wrong, func(w alerts.RowFault) ImportFault {
			return ImportFault{Sheet: w.Sheet, Row: w.Row, Column: w.Column, Message: w.Message}
		}),
	}
	add := func(id contract.DeviceID, what string) {
		if len(r.Changes) < maxChanges {
			columns := p.Changed[id]
			if columns == nil {
				columns = []string{}
			}
			r.Changes = append(r.Changes, ImportChange{ID: string(id), Change: what, Columns: columns})
		}
	}
	for _, id := range p.Remove { // what cannot be taken back comes first
		add(id, "removed")
	}
	for _, d := range p.Save {
		add(d.ID, "changed")
	}
	for _, d := range p.Add {
		add(d.ID, "added")
	}
	return r
}
