package roster

import (
	"bytes"
	"fmt"

	"github.com/xuri/excelize/v2"

	"firewatch/alerts"
)

// ReadBook reads a workbook with the sheets areas（区划）, teams（队伍）and
// devices（设备）, and checks them as a whole, as ReadOver does a folder. A sheet
// has no outlines: an area that is known keeps its own.
func ReadBook(name string, raw []byte, have alerts.Roster) (alerts.Roster, error) {
	var f faults
	b := openBook(name, raw, &f)
	if b == nil {
		return alerts.Roster{}, f.err()
	}
	defer b.close()
	var r alerts.Roster
	var list []placed
	list, r.Demo = readAreaTable(b.table(areasSheet, areaColumns, false))
	var areas map[string]placed
	r.Areas, areas = checkAreas(list, &f)
	r.Teams = readTeams(b.table(teamsSheet, teamColumns, false), areas)
	r.Devices = readDevices(b.table(devicesSheet, deviceColumns, false), areas, indexDevices(have.Devices))
	if err := f.err(); err != nil {
		return alerts.Roster{}, err
	}
	known := alerts.IndexAreas(have.Areas)
	for i, a := range r.Areas {
		if had, ok := known[a.Code]; ok {
			r.Areas[i].Outline, r.Areas[i].Surveyed = had.Outline, had.Surveyed
		}
	}
	return r, nil
}

// WriteBook is the roster as a workbook that ReadBook reads, without any
// credential and without outlines.
func WriteBook(r alerts.Roster) ([]byte, error) {
	return writeSheets(
		sheet{"区划", areaRows(r)}, sheet{"队伍", teamRows(r.Teams)}, sheet{"设备", deviceRows(r.Devices)},
	)
}

// WriteDevices is a table of devices that ReadDevices reads, without any
// credential.
func WriteDevices(format string, ds []alerts.Device) ([]byte, error) {
	if format == FormatXLSX {
		return writeSheets(sheet{"设备", deviceRows(ds)})
	}
	return csvTable(deviceRows(ds))
}

type sheet struct {
	name string
	rows [][]string
}

// writeSheets makes every cell a text, so that no spreadsheet takes a telephone
// number for a number, or a name for a formula.
func writeSheets(sheets ...sheet) ([]byte, error) {
	x := excelize.NewFile()
	defer x.Close()                                      //nolint:errcheck // it is in memory
	text, err := x.NewStyle(&excelize.Style{NumFmt: 49}) // @
	if err != nil {
		return nil, fmt.Errorf("writing the workbook: %w", err)
	}
	head, err := x.NewStyle(&excelize.Style{NumFmt: 49, Font: &excelize.Font{Bold: true}})
	if err != nil {
		return nil, fmt.Errorf("writing the workbook: %w", err)
	}
	for i, s := range sheets {
		if i == 0 {
			err = x.SetSheetName(x.GetSheetName(0), s.name)
		} else {
			_, err = x.NewSheet(s.name)
		}
		if err != nil {
			return nil, fmt.Errorf("writing the sheet %s: %w", s.name, err)
		}
		if err := writeSheet(x, s, head, text); err != nil {
			return nil, fmt.Errorf("writing the sheet %s: %w", s.name, err)
		}
	}
	var b bytes.Buffer
	if err := x.Write(&b); err != nil {
		return nil, fmt.Errorf("writing the workbook: %w", err)
	}
	return b.Bytes(), nil
}

func writeSheet(x *excelize.File, s sheet, head, text int) error {
	w, err := x.NewStreamWriter(s.name)
	if err != nil {
		return err
	}
	// Also what is entered later below stays as it is typed.
	if err := w.SetColStyle(1, len(s.rows[0]), text); err != nil {
		return err
	}
	if err := w.SetColWidth(1, len(s.rows[0]), 16); err != nil {
		return err
	}
	if err := w.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
		return err
	}
	for i, fields := range s.rows {
		style := text
		if i == 0 {
			style = head
		}
		cells := make([]any, len(fields))
		for j, field := range fields {
			cells[j] = excelize.Cell{StyleID: style, Value: field}
		}
		if err := w.SetRow(fmt.Sprintf("A%d", i+1), cells); err != nil {
			return err
		}
	}
	return w.Flush()
}
