package v1

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"

	"firewatch/alerts"
	"firewatch/api/provision"
	contract "firewatch/firmware-contracts"
)

// Desk is what the registry of devices is changed with. All but Changed are
// required.
type Desk struct {
	Devices alerts.DeviceStore
	Tables  DeviceTables
	// NewSecret makes a credential, HashSecret what the store keeps of it.
	NewSecret  func() string
	HashSecret func(secret string) string
	// Broker is where devices connect. Where only its port is known, it is taken
	// to be on the machine that the administrator has called.
	Broker provision.Broker
	// Changed is told of every change, as it went to the store, so that who lost a
	// credential is disconnected at once; nil: it is seen within a second.
	Changed func(changed []alerts.Device, removed []contract.DeviceID)

	importing sync.Mutex
}

// desk is the desk, for handlers that change something.
func (a *API) desk() (*Desk, error) {
	if a.Desk == nil {
		return nil, &Error{Code: CodeUnavailable, Detail: "此进程未启用设备管理"}
	}
	return a.Desk, nil
}

// changed tells of a change and puts it on record.
func (a *API) changed(c *gin.Context, s scope, ch alerts.DeviceChange, action, subject, detail string) {
	if a.Desk.Changed != nil {
		a.Desk.Changed(slices.Concat(ch.Add, ch.Save), ch.Remove)
	}
	a.audit(c.Request.Context(), s.user.Username, action, subject, detail)
}

func (a *API) createDevice(c *gin.Context, s scope) error {
	desk, err := a.desk()
	if err != nil {
		return err
	}
	var req DeviceRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	d := alerts.Device{Expect: 5 * time.Minute}
	var f faults
	if req.ID == nil || *req.ID == "" || slices.Contains(alerts.ReservedIDs, contract.DeviceID(*req.ID)) {
		f.add("id", "必填，且不能是 import 或 export")
	} else if d.ID = contract.DeviceID(*req.ID); d.ID.Validate() != nil {
		f.add("id", "最多 %d 字节，只能用字母、数字，以及首位之后的 . _ -", contract.MaxIDBytes)
	}
	if req.Kind == nil {
		f.add("kind", "应为 tracker 或 sensor")
	} else if d.Kind, err = contract.ParseKind(*req.Kind); err != nil {
		f.add("kind", "应为 tracker 或 sensor")
	}
	if req.Area == nil {
		f.add("area", "必填")
	}
	req.apply(s.roster, &d, a.Now(), &f)
	if err := f.err(); err != nil {
		return err
	}
	if d.Lat == 0 && d.Lon == 0 {
		d.Lat, d.Lon = s.roster.areas[d.Area].Lat, s.roster.areas[d.Area].Lon
	}
	if _, taken := s.roster.device[d.ID]; taken {
		return &Error{Code: CodeConflict, Detail: "已有此编号的设备"}
	}
	card, hash, err := desk.issue(c, d)
	if err != nil {
		return err
	}
	d.SecretHash = hash
	ch := alerts.DeviceChange{Add: []alerts.Device{d}}
	if err := desk.change(c, ch, a.Now()); err != nil {
		return err
	}
	a.changed(c, s, ch, "device.create", string(d.ID), d.Kind.String()+" in "+d.Area)
	l, err := a.newest(c)
	if err != nil {
		return err
	}
	c.Header("Location", Prefix+"/devices/"+string(d.ID))
	WriteJSON(c, http.StatusCreated, Provisioned{Device: toDevice(s.roster, d, l, a.Silence, a.Now()), Card: card})
	return nil
}

// change makes a change that was checked against the roster as it was known. An
// area that is gone by now is another's change.
func (k *Desk) change(c *gin.Context, ch alerts.DeviceChange, now time.Time) error {
	err := k.Devices.ChangeDevices(c.Request.Context(), ch, now)
	if errors.Is(err, alerts.ErrNotFound) {
		return &Error{Code: CodeConflict, Detail: "区划刚刚有变动，请重试", Cause: err}
	}
	return err
}

// issue makes a new credential for the device, and the card that shows it.
func (k *Desk) issue(c *gin.Context, d alerts.Device) (card Card, hash string, err error) {
	broker := k.Broker
	if broker.Host == "" {
		broker.Host = c.Request.Host
		if host, _, err := net.SplitHostPort(broker.Host); err == nil {
			broker.Host = host
		}
		broker.Host = strings.Trim(broker.Host, "[]")
	}
	secret := k.NewSecret()
	p, err := provision.NewCard(broker, d, secret)
	if err != nil {
		return Card{}, "", err
	}
	svg, err := provision.SVG(p.QR)
	if err != nil {
		return Card{}, "", err
	}
	return Card{
		Username: p.Username, Password: p.Password, Host: broker.Host, Port: broker.Port, TLS: broker.TLS, URL: broker.URL(),
		Publish: p.Publish, Subscribe: p.Subscribe, QRText: p.QR, QRSVG: svg,
	}, k.HashSecret(secret), nil
}

func (a *API) updateDevice(c *gin.Context, s scope) error {
	desk, err := a.desk()
	if err != nil {
		return err
	}
	old, err := a.device(c, s)
	if err != nil {
		return err
	}
	var req DeviceRequest
	if err := readJSON(c, &req); err != nil {
		return err
	}
	var f faults
	if req.ID != nil {
		f.add("id", "不能更改")
	}
	if req.Kind != nil {
		f.add("kind", "不能更改；请以新编号登记")
	}
	tried := old
	req.apply(s.roster, &tried, a.Now(), &f)
	if err := f.err(); err != nil {
		return err
	}
	var columns []string
	d, err := desk.Devices.UpdateDevice(c.Request.Context(), old.ID, func(d *alerts.Device) error {
		had := *d
		req.apply(s.roster, d, a.Now(), &f)
		columns = had.Differs(*d)
		return f.err()
	}, a.Now())
	if err != nil {
		return err
	}
	if len(columns) > 0 {
		a.changed(c, s, saved(d), "device.update", string(d.ID), strings.Join(columns, ", "))
	}
	l, err := a.newest(c)
	if err != nil {
		return err
	}
	WriteJSON(c, http.StatusOK, toDevice(s.roster, d, l, a.Silence, a.Now()))
	return nil
}

// retireDevice shuts a device out and keeps its history.
func (a *API) retireDevice(c *gin.Context, s scope) error {
	return a.alter(c, s, "device.retire", func(d *alerts.Device) error {
		d.Disabled = true
		return nil
	})
}

func (a *API) revokeCredential(c *gin.Context, s scope) error {
	return a.alter(c, s, "device.credential.revoke", func(d *alerts.Device) error {
		if d.SecretHash != "" {
			d.SecretHash = alerts.Revoked
		}
		return nil
	})
}

func saved(d alerts.Device) alerts.DeviceChange {
	return alerts.DeviceChange{Save: []alerts.Device{d}}
}

// alter changes the device of the path, and puts it on record unless it was so
// already.
func (a *API) alter(c *gin.Context, s scope, action string, change func(*alerts.Device) error) error {
	desk, err := a.desk()
	if err != nil {
		return err
	}
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	if err := query(c).err(); err != nil {
		return err
	}
	var had alerts.Device
	now, err := desk.Devices.UpdateDevice(c.Request.Context(), d.ID, func(d *alerts.Device) error {
		had = *d
		return change(d)
	}, a.Now())
	if err != nil {
		return err
	}
	if len(had.Differs(now)) > 0 {
		a.changed(c, s, saved(now), action, string(d.ID), "")
	}
	c.Status(http.StatusNoContent)
	return nil
}

func (a *API) rotateCredential(c *gin.Context, s scope) error {
	desk, err := a.desk()
	if err != nil {
		return err
	}
	d, err := a.device(c, s)
	if err != nil {
		return err
	}
	if err := query(c).err(); err != nil {
		return err
	}
	card, hash, err := desk.issue(c, d)
	if err != nil {
		return err
	}
	d, err = desk.Devices.UpdateDevice(c.Request.Context(), d.ID, func(d *alerts.Device) error {
		if d.Disabled {
			return &Error{Code: CodeConflict, Detail: "设备已停用，请先启用"}
		}
		d.SecretHash = hash
		return nil
	}, a.Now())
	if err != nil {
		return err
	}
	a.changed(c, s, saved(d), "device.credential.rotate", string(d.ID), "")
	WriteJSON(c, http.StatusCreated, card)
	return nil
}

// apply writes what the request names into the device.
func (r *DeviceRequest) apply(roster *roster, d *alerts.Device, now time.Time, f *faults) {
	had := *d
	for _, t := range []struct {
		field string
		from  *string
		to    *string
		most  int
	}{
		{"name", r.Name, &d.Name, alerts.MaxNameBytes},
		{"site", r.Site, &d.Site, alerts.MaxNameBytes},
		{"phone", r.Phone, &d.Phone, alerts.MaxNameBytes},
		{"model", r.Model, &d.Model, alerts.MaxModelBytes},
		{"firmware", r.Firmware, &d.Firmware, contract.MaxCodeBytes},
	} {
		if t.from == nil {
			continue
		}
		why := textFault(*t.from, t.most)
		if why == "" && strings.Contains(*t.from, "\n") {
			why = "不能换行"
		}
		if why != "" {
			f.add(t.field, "%s", why)
			continue
		}
		*t.to = strings.TrimSpace(*t.from)
	}
	if r.Area != nil {
		if _, known := roster.areas[*r.Area]; !known {
			f.add("area", "没有此区划代码")
		}
		d.Area = *r.Area
	}
	switch {
	case (r.Lat == nil) != (r.Lon == nil):
		f.add("lat", "与 lon 应同时给出")
	case r.Lat == nil:
	case *r.Lat == d.Lat && *r.Lon == d.Lon: // what stands there may stay
	case *r.Lat == 0 && *r.Lon == 0: // none of its own
		d.Lat, d.Lon = roster.areas[d.Area].Lat, roster.areas[d.Area].Lon
	default:
		d.Lat, d.Lon = *r.Lat, *r.Lon
		if err := alerts.CheckPlace(d.Lat, d.Lon); errors.Is(err, alerts.ErrSwapped) {
			f.add("lat", "与 lon 颠倒了：lat 为北纬，lon 为东经")
		} else if err != nil {
			f.add("lat", "与 lon 不在中国境内；应为 WGS-84 十进制度数")
		}
	}
	if r.ExpectS != nil {
		if *r.ExpectS < 0 || *r.ExpectS > 30*24*3600 {
			f.add("expect_s", "应为 0 至 2592000 秒")
		} else {
			d.Expect = time.Duration(*r.ExpectS * float64(time.Second)).Round(time.Millisecond)
		}
	}
	if r.Disabled != nil {
		d.Disabled = *r.Disabled
	}
	if r.Calibration != nil {
		if k, err := alerts.ParseCalibration(*r.Calibration); err != nil {
			f.add("calibration", "应为 unknown、calibrating、calibrated、due 之一")
		} else {
			d.Calibration = k
		}
	}
	if r.CalibratedAt != nil {
		if at, err := time.Parse(time.RFC3339, *r.CalibratedAt); *r.CalibratedAt != "" && (err != nil || at.Year() < 2000 || at.Year() > 2200) {
			f.add("calibrated_at", "%s", rfc3339)
		} else {
			d.CalibratedAt = at.UTC().Truncate(time.Millisecond)
			if d.CheckCalibratedAt(&had, now) != nil {
				f.add("calibrated_at", "不能晚于现在")
			}
		}
	}
	r.applyAlias(roster, d, f)
}

func (r *DeviceRequest) applyAlias(roster *roster, d *alerts.Device, f *faults) {
	if r.Alias == nil {
		return
	}
	alias, err := alerts.NormalizeAlias(*r.Alias)
	if err != nil {
		f.add("alias", "应如 owntracks/用户/设备、chirpstack/16 位 DevEUI、tts/应用@租户/设备")
		return
	}
	with := *d
	if with.Alias = alias; d.Kind == contract.Sensor && alias != d.Alias && with.Topic() != "" {
		f.add("alias", "OwnTracks 只上报手机位置，传感器不能用 owntracks/ 别名")
		return
	}
	for _, other := range roster.devices {
		if alias != "" && other.Alias == alias && other.ID != d.ID {
			f.add("alias", "已属于设备 %s", other.ID)
			return
		}
	}
	d.Alias = alias
}
