package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"firewatch/alerts"
	"firewatch/alerts/sqlstore"
	"firewatch/api/mqttauth"
	"firewatch/api/provision"
	v1 "firewatch/api/v1"
	"firewatch/cmd/internal/config"
	"firewatch/cmd/internal/roster"
	contract "firewatch/firmware-contracts"
)

// tables implements v1.DeviceTables.
type tables struct{}

func (tables) Read(format string, raw []byte, have alerts.Roster) (ds []alerts.Device, sheet string, wrong []alerts.RowFault) {
	return roster.ReadDevices(format, "devices", raw, have)
}

func (tables) Write(format string, ds []alerts.Device) ([]byte, error) {
	return roster.WriteDevices(format, ds)
}

// desk is what the api changes devices with. It tells the registry, which ends
// the connections of those who lost their credential.
func (s *system) desk() (*v1.Desk, error) {
	broker, err := brokerOf(s.Config)
	if err != nil {
		return nil, err
	}
	if s.broker != nil && s.MQTTPublic == "" { // its port may have been picked
		own, err := provision.ParseListener(s.broker.Addr(), broker.TLS)
		if err != nil {
			return nil, fmt.Errorf("mqtt: %w", err)
		}
		broker.Port = own.Port
	}
	return &v1.Desk{
		Devices: s.store, Tables: tables{}, NewSecret: roster.NewSecret, HashSecret: roster.HashSecret,
		Broker: broker, Changed: s.registry.Changed,
	}, nil
}

// brokerOf is where devices connect by the settings.
func brokerOf(c config.Config) (provision.Broker, error) {
	for _, from := range []struct{ setting, url string }{{"mqtt-public", c.MQTTPublic}, {"mqtt-broker", c.MQTTBroker}} {
		if from.url == "" {
			continue
		}
		b, err := provision.ParseBroker(from.url)
		if err != nil {
			return b, fmt.Errorf("%s: %w", from.setting, err)
		}
		return b, nil
	}
	b, err := provision.ParseListener(c.MQTT, c.MQTTTLSCert != "")
	if err != nil {
		return b, fmt.Errorf("mqtt: %w", err)
	}
	return b, nil
}

// brokerAuth answers an external broker; nil without mqtt-auth-token.
func (s *system) brokerAuth() (http.Handler, error) {
	if s.MQTTAuthToken == "" {
		return nil, nil //nolint:nilnil // nobody may ask
	}
	o := mqttauth.Options{
		Credential: elsewhere{s.registry}, Principal: s.registry.Principal, Token: s.MQTTAuthToken.Reveal(),
		Log: s.log.Named("mqttauth"), Registerer: s.metrics,
	}
	if s.MQTTUsername != "" && s.MQTTPassword != "" {
		o.ServiceUsername, o.ServicePassword = s.MQTTUsername, s.MQTTPassword.Reveal()
	}
	h, err := mqttauth.New(o)
	if err != nil {
		return nil, fmt.Errorf("mqtt-auth-token: %w", err)
	}
	return h, nil
}

func runDeviceAdd(ctx context.Context, e Env) error {
	mine, rest := splitArgs(e.Args, "", "id", "kind", "area", "name", "site", "phone", "lat", "lon", "expect", "model", "alias", "firmware", "calibration", "qr?")
	fs := flags(e, "device add", "--id ID --kind tracker|sensor --area CODE [--name NAME] [--alias owntracks/USER/DEVICE] [--lat LAT --lon LON] [--expect 5m] [--data DIR]")
	id := fs.String("id", "", "the device's id; also its MQTT user name")
	kind := fs.String("kind", "tracker", "tracker or sensor")
	area := fs.String("area", "", "code of its township")
	name := fs.String("name", "", "the warden's or the site's name")
	site := fs.String("site", "", "where a sensor stands, in words")
	phone := fs.String("phone", "", "telephone")
	lat := fs.Float64("lat", 0, "site of a sensor, degrees north, WGS-84")
	lon := fs.Float64("lon", 0, "site of a sensor, degrees east, WGS-84")
	expect := fs.Duration("expect", 5*time.Minute, "expected time between readings; 0: not expected to report")
	model := fs.String("model", "", "model, like s2120")
	alias := fs.String("alias", "", "what another system calls it: owntracks/USER/DEVICE, chirpstack/DEVEUI, tts/APP@TENANT/DEVICE")
	firmware := fs.String("firmware", "", "version of its firmware")
	calibration := fs.String("calibration", "unknown", "unknown, calibrating, calibrated or due")
	qr := fs.Bool("qr", true, "show a QR code of what the device needs")
	if err := parse(fs, mine); err != nil {
		return err
	}
	if err := soleWord(fs, id); err != nil {
		return err
	}
	d := alerts.Device{
		ID: contract.DeviceID(*id), Area: *area, Name: *name, Site: *site, Phone: *phone, Lat: *lat, Lon: *lon, Expect: *expect,
		Model: *model, Firmware: *firmware,
	}
	var err error
	if d.Kind, err = contract.ParseKind(*kind); err != nil {
		return usageError{fmt.Errorf("--kind: %w", err)}
	}
	if err := d.ID.Validate(); err != nil {
		return usageError{fmt.Errorf("--id: %w", err)}
	}
	if d.Alias, err = alerts.NormalizeAlias(*alias); err != nil {
		return usageError{fmt.Errorf("--alias: %w", err)}
	}
	if d.Calibration, err = alerts.ParseCalibration(*calibration); err != nil {
		return usageError{fmt.Errorf("--calibration: %w", err)}
	}
	given := map[string]bool{}
	fs.Visit(func(f *flag.Flag) { given[f.Name] = true })
	if given["lat"] != given["lon"] {
		return usageError{errors.New("--lat, --lon: only one of the two is given")}
	}
	if given["lat"] && *lat == 0 && *lon == 0 {
		return usageError{fmt.Errorf("--lat, --lon: %w", alerts.CheckPlace(0, 0))}
	}
	if err := d.Validate(); err != nil {
		return usageError{err}
	}
	return withStore(ctx, e, "firewatch device add", rest, func(c config.Config, store *sqlstore.Store) error {
		secret := roster.NewSecret()
		d.SecretHash = roster.HashSecret(secret)
		if err := addDevice(ctx, store, d); err != nil {
			return err
		}
		audit(ctx, store, "device.create", d.ID)
		return showCard(e.Stdout, c, d, secret, *qr)
	})
}

// withStore opens the store of the settings for a command.
func withStore(ctx context.Context, e Env, command string, settings []string, do func(config.Config, *sqlstore.Store) error) error {
	c, err := config.Load(command, settings, e.Environ, e.Stdout)
	if err != nil {
		return err
	}
	store, err := openStore(ctx, c)
	if err != nil {
		return err
	}
	return errors.Join(do(c, store), store.Close())
}

// audit puts on record what was done on the command line, as well as can be: what
// was done stays done.
func audit(ctx context.Context, store alerts.AuditStore, action string, id contract.DeviceID) {
	_ = store.SaveAudit(ctx, alerts.Audit{At: time.Now().UTC(), Actor: "command line", Action: action, Subject: string(id)})
}

func addDevice(ctx context.Context, store *sqlstore.Store, d alerts.Device) error {
	areas, err := store.Areas(ctx)
	if err != nil {
		return err
	}
	if a, ok := alerts.IndexAreas(areas)[d.Area]; !ok {
		return fmt.Errorf("--area: no area has the code %q; import a roster first, or see firewatch roster export", d.Area)
	} else if d.Lat == 0 && d.Lon == 0 {
		d.Lat, d.Lon = a.Lat, a.Lon
	}
	devices, err := store.Devices(ctx)
	if err != nil {
		return err
	}
	for _, x := range devices {
		switch {
		case x.ID == d.ID:
			return fmt.Errorf("--id: device %s exists; firewatch roster import --devices changes it, firewatch device rotate gives it a new credential", d.ID)
		case d.Alias != "" && x.Alias == d.Alias:
			return fmt.Errorf("--alias: %s is that of device %s", d.Alias, x.ID)
		}
	}
	return store.ChangeDevices(ctx, alerts.DeviceChange{Add: []alerts.Device{d}}, time.Now().UTC())
}

// showCard prints what the device needs to connect.
func showCard(w io.Writer, c config.Config, d alerts.Device, secret string, qr bool) error {
	broker, err := brokerOf(c)
	if err != nil {
		return err
	}
	if broker.Host == "" {
		if broker.Host, err = os.Hostname(); err != nil {
			return fmt.Errorf("the name of this machine: %w", err)
		}
	}
	card, err := provision.NewCard(broker, d, secret)
	if err != nil {
		return err
	}
	code := ""
	if qr {
		if code, err = provision.Terminal(card.QR); err != nil {
			return err
		}
		code = "\n" + code
	}
	_, err = fmt.Fprintf(w, "MQTT user name  %s\nMQTT password   %s\nMQTT broker     %s\n%s（密码只显示这一次 the password is shown only this once）\n",
		d.ID, secret, broker.URL(), code)
	return err
}

// deviceCommand reads the arguments of a command about one device.
func deviceCommand(e Env, name string, switches ...string) (id contract.DeviceID, on map[string]*bool, rest []string, err error) {
	own := []string{"", "id"}
	for _, s := range switches {
		own = append(own, s+"?")
	}
	mine, rest := splitArgs(e.Args, own...)
	fs := flags(e, name, "ID [--data DIR] [--store URL]")
	flagID := fs.String("id", "", "the device's id")
	on = map[string]*bool{}
	for _, s := range switches {
		on[s] = fs.Bool(s, true, "show a QR code of what the device needs")
	}
	if err := parse(fs, mine); err != nil {
		return "", nil, nil, err
	}
	if err := soleWord(fs, flagID); err != nil {
		return "", nil, nil, err
	}
	id = contract.DeviceID(*flagID)
	if err := id.Validate(); err != nil {
		return "", nil, nil, usageError{fmt.Errorf("name one device: %w", err)}
	}
	return id, on, rest, nil
}

func runDeviceRotate(ctx context.Context, e Env) error {
	id, on, rest, err := deviceCommand(e, "device rotate", "qr")
	if err != nil {
		return err
	}
	return withStore(ctx, e, "firewatch device rotate", rest, func(c config.Config, store *sqlstore.Store) error {
		secret := roster.NewSecret()
		d, err := store.UpdateDevice(ctx, id, func(d *alerts.Device) error {
			if d.Disabled {
				return errors.New("it is disabled; enable it first")
			}
			d.SecretHash = roster.HashSecret(secret)
			return nil
		}, time.Now().UTC())
		if err != nil {
			return err
		}
		audit(ctx, store, "device.credential.rotate", id)
		return showCard(e.Stdout, c, d, secret, *on["qr"])
	})
}

func runDeviceRevoke(ctx context.Context, e Env) error {
	id, _, rest, err := deviceCommand(e, "device revoke")
	if err != nil {
		return err
	}
	return withStore(ctx, e, "firewatch device revoke", rest, func(_ config.Config, store *sqlstore.Store) error {
		if _, err := store.UpdateDevice(ctx, id, func(d *alerts.Device) error {
			d.SecretHash = alerts.Revoked
			return nil
		}, time.Now().UTC()); err != nil {
			return err
		}
		audit(ctx, store, "device.credential.revoke", id)
		_, err := fmt.Fprintf(e.Stdout, "%s：凭证已吊销，一秒内断开 its credential is revoked; it is disconnected within a second\n", id)
		return err
	})
}

func runDeviceShow(ctx context.Context, e Env) error {
	id, _, rest, err := deviceCommand(e, "device show")
	if err != nil {
		return err
	}
	return withStore(ctx, e, "firewatch device show", rest, func(_ config.Config, store *sqlstore.Store) error {
		ds, err := store.Devices(ctx)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(ds, func(d alerts.Device) bool { return d.ID == id })
		if i < 0 {
			return fmt.Errorf("no device has the id %q", id)
		}
		d := ds[i]
		credential := "active"
		switch d.SecretHash {
		case "":
			credential = "none"
		case alerts.Revoked:
			credential = "revoked"
		}
		calibrated := ""
		if !d.CalibratedAt.IsZero() {
			calibrated = d.CalibratedAt.Format(time.RFC3339)
		}
		for _, line := range [][2]string{
			{"id", string(d.ID)},
			{"kind", d.Kind.String()},
			{"area", d.Area},
			{"name", d.Name},
			{"site", d.Site},
			{"phone", d.Phone},
			{"lat, lon", fmt.Sprintf("%g, %g", d.Lat, d.Lon)},
			{"expect", d.Expect.String()},
			{"disabled", fmt.Sprint(d.Disabled)},
			{"model", d.Model},
			{"alias", d.Alias},
			{"firmware", d.Firmware},
			{"calibration", d.Calibration.String()},
			{"calibrated at", calibrated},
			{"credential", credential},
		} {
			if _, err := fmt.Fprintf(e.Stdout, "%-14s %s\n", line[0], line[1]); err != nil {
				return err
			}
		}
		return nil
	})
}
