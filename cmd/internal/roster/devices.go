package roster

import (
	"math"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

var deviceColumns = []column{
	{"id", []string{"设备编号", "编号"}, true},
	{"kind", []string{"类型", "类别", "设备类型"}, true},
	{"area", []string{"区划代码", "区域", "区域代码", "所属区域", "行政区划代码"}, true},
	{"name", []string{"名称", "姓名", "护林员", "点位名称"}, false},
	{"site", []string{"安装位置", "位置", "安装地点"}, false},
	{"phone", []string{"电话", "联系电话", "手机"}, false},
	{"lat", []string{"纬度"}, false},
	{"lon", []string{"经度", "lng"}, false},
	{"expect_s", []string{"上报间隔(秒)", "上报间隔", "上报间隔秒"}, false},
	{"disabled", []string{"停用"}, false},
	{"model", []string{"型号", "设备型号"}, false},
	{"alias", []string{"外部编号", "别名", "外部系统编号"}, false},
	{"firmware", []string{"固件版本", "固件"}, false},
	{"calibration", []string{"校准状态", "校准"}, false},
	{"calibrated_at", []string{"校准时间", "校准日期"}, false},
	{"secret", []string{"密钥", "密码"}, false},
}

// changeColumns are those of a table that changes devices: the registry knows
// what stands in no column.
var changeColumns = func() []column {
	out := append([]column(nil), deviceColumns...)
	for i := range out {
		out[i].required = out[i].name == "id"
	}
	return out
}()

// defaultExpect is the interval of a device for which none is given.
const defaultExpect = 300.0 // s

func indexDevices(ds []alerts.Device) map[contract.DeviceID]alerts.Device {
	out := make(map[contract.DeviceID]alerts.Device, len(ds))
	for _, d := range ds {
		out[d.ID] = d
	}
	return out
}

// ReadDevices reads a table of devices alone, CSV or XLSX, against the registry
// that it is to change:
//
//   - A row whose id is known changes that device in the columns that the table
//     has, an empty field included; other columns stay. Only id must be there.
//   - A row with a new id adds a device, and needs kind and area.
//   - Devices that are in no row are not touched.
//   - An empty secret keeps the one that was.
//
// All that is wrong is reported at once, and nothing is returned then. format is
// FormatCSV or FormatXLSX; name stands in front of the faults. sheet is the one of
// the workbook that was read, empty where there is none.
func ReadDevices(format, name string, raw []byte, have alerts.Roster) (ds []alerts.Device, sheet string, wrong []alerts.RowFault) {
	var f faults
	var t *table
	switch format {
	case FormatXLSX:
		if book := openBook(name, raw, &f); book != nil {
			t = book.table(devicesSheet, changeColumns, true)
			book.close()
		}
		if t != nil {
			sheet = t.name
		}
	default:
		t = parseCSV(name, raw, changeColumns, &f)
	}
	areas := make(map[string]placed, len(have.Areas))
	for _, a := range have.Areas {
		areas[a.Code] = placed{area: a}
	}
	ds = readDevices(t, areas, indexDevices(have.Devices))
	if len(f.list) > 0 {
		return nil, sheet, f.rows()
	}
	return ds, sheet, nil
}

// readDevices reads the rows over what is known; areas nil: what is wrong with
// them was said.
func readDevices(t *table, areas map[string]placed, have map[contract.DeviceID]alerts.Device) []alerts.Device {
	if t == nil {
		return nil
	}
	var devices []alerts.Device
	seen := map[contract.DeviceID]string{}
	aliases := aliasesBeside(t, have)
	for _, r := range t.rows {
		id := contract.DeviceID(r.code("id"))
		x, known := have[id]
		var had *alerts.Device
		if known {
			kept := x
			had = &kept
		} else {
			x = alerts.Device{ID: id, Expect: defaultExpect * time.Second}
		}
		x.SecretHash = r.secret() // none: the store keeps what it has
		if err := id.Validate(); err != nil {
			r.fail("id", "%w", err)
		} else if !known && slices.Contains(alerts.ReservedIDs, id) {
			r.fail("id", "%s is reserved; give the device another", id)
		} else if before, twice := seen[id]; twice {
			r.fail("id", "%s stands already in %s", id, before)
		} else {
			seen[id] = r.where
		}
		r.kind(&x, known)
		if r.has("area") || !known {
			x.Area = r.code("area")
		}
		for name, to := range map[string]*string{"name": &x.Name, "site": &x.Site} {
			if r.has(name) {
				*to = r.text(name)
			}
		}
		for name, to := range map[string]*string{"phone": &x.Phone, "model": &x.Model, "firmware": &x.Firmware} {
			if r.has(name) {
				*to = r.code(name)
			}
		}
		if len(x.Model) > alerts.MaxModelBytes {
			r.fail("model", "has %d bytes, at most %d are allowed", len(x.Model), alerts.MaxModelBytes)
		}
		if len(x.Firmware) > contract.MaxCodeBytes {
			r.fail("firmware", "has %d bytes, at most %d are allowed", len(x.Firmware), contract.MaxCodeBytes)
		}
		if r.has("disabled") {
			x.Disabled = r.truth("disabled", false)
		}
		if r.has("expect_s") {
			ms := math.Round(1000 * r.number("expect_s", defaultExpect, 0, 30*24*3600, false))
			x.Expect = time.Duration(ms) * time.Millisecond
		}
		r.calibration(&x, had)
		r.alias(&x, had, aliases)
		x.Lat, x.Lon = r.site(x.Area, areas, had)
		devices = append(devices, x)
	}
	return devices
}

func (r row) kind(x *alerts.Device, known bool) {
	if known && !r.has("kind") {
		return
	}
	was := x.Kind
	switch s := strings.ToLower(r.text("kind")); s {
	case "tracker", "定位终端", "定位器", "护林员", "手持终端":
		x.Kind = contract.Tracker
	case "sensor", "传感器", "监测站":
		x.Kind = contract.Sensor
	default:
		r.fail("kind", "%q; want tracker（定位终端）or sensor（传感器）", s)
		return
	}
	if known && r.t.changes && was != x.Kind {
		r.fail("kind", "is %s in the registry, and a device does not change its kind; give the new one another id", was)
	}
}

func (r row) calibration(x, had *alerts.Device) {
	if r.has("calibration") {
		switch s := strings.ToLower(r.text("calibration")); s {
		case "", "unknown", "未知", "不详":
			x.Calibration = alerts.CalibrationUnknown
		case "calibrating", "校准中":
			x.Calibration = alerts.Calibrating
		case "calibrated", "已校准":
			x.Calibration = alerts.Calibrated
		case "due", "待校准":
			x.Calibration = alerts.CalibrationDue
		default:
			r.fail("calibration", "%q; want unknown（未知）, calibrating（校准中）, calibrated（已校准）or due（待校准）", s)
		}
	}
	if r.has("calibrated_at") {
		x.CalibratedAt = r.time("calibrated_at")
		if err := x.CheckCalibratedAt(had, time.Now()); err != nil {
			r.fail("calibrated_at", "%w", err)
		}
	}
}

// aliasesBeside are the aliases of devices that are in no row of the table, each
// with its device.
func aliasesBeside(t *table, have map[contract.DeviceID]alerts.Device) map[string]string {
	out := map[string]string{}
	if !t.changes { // the table is all there will be
		return out
	}
	inTable := map[contract.DeviceID]bool{}
	for _, r := range t.rows {
		if i, ok := t.at["id"]; ok {
			inTable[contract.DeviceID(strings.TrimSpace(r.fields[i].text))] = true
		}
	}
	for id, d := range have {
		if d.Alias != "" && !inTable[id] {
			out[d.Alias] = string(id)
		}
	}
	return out
}

func (r row) alias(x, had *alerts.Device, taken map[string]string) {
	if r.has("alias") {
		alias, err := alerts.NormalizeAlias(r.code("alias"))
		if err != nil {
			r.fail("alias", "%w", err)
			return
		}
		x.Alias = alias
	}
	if x.Alias == "" {
		return
	}
	if kept := had != nil && had.Alias == x.Alias; !kept && x.Kind == contract.Sensor && x.Topic() != "" {
		r.fail("alias", "%w", alerts.ErrNotSensor)
		return
	}
	if other, ok := taken[x.Alias]; ok {
		r.fail("alias", "%s is that of %s", x.Alias, other)
		return
	}
	taken[x.Alias] = string(x.ID)
}
