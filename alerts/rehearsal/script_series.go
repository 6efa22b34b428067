package rehearsal

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"firewatch/alerts"
	contract "firewatch/firmware-contracts"
)

// series makes the readings of one device.
func (c *scriptCheck) series(path string, keys map[string]any, interval time.Duration, t *Test) []contract.Reading {
	text := func(key string) string {
		v, has := keys[key]
		delete(keys, key)
		if !has || v == nil {
			return ""
		}
		return strings.TrimSpace(fmt.Sprint(v))
	}
	id := contract.DeviceID(text("device"))
	i := slices.IndexFunc(t.World.Roster.Devices, func(d alerts.Device) bool { return d.ID == id })
	kind := contract.Sensor
	if i >= 0 {
		kind = t.World.Roster.Devices[i].Kind
	}
	c.want(id.Validate() == nil, path+".device", "%q: %v", id, id.Validate())
	base := contract.Reading{Device: id, Kind: kind, Class: contract.Environment, Code: text("code"), Text: text("text")}
	if kind == contract.Tracker || i < 0 {
		base.Kind, base.Class = contract.Tracker, contract.Position
	}
	if name := text("class"); name != "" {
		var err error
		base.Class, err = contract.ParseClass(name)
		c.want(err == nil, path+".class", "%v", err)
	}
	start := c.offset(path+".start", text("start"), 0)
	interval = c.offset(path+".interval", text("interval"), interval)
	delay := c.offset(path+".delay", text("delay"), 0)
	arrives := c.offset(path+".arrives", text("arrives"), -1)
	columns, n := c.columns(path, keys, base.Class)
	if n == 0 {
		n = 1 // words alone
	}
	c.want(time.Duration(n)*interval <= maxSpan, path, "%d values every %s: longer than %s", n, interval, maxSpan)
	var out []contract.Reading
	for k := range n {
		r := base
		r.Measured = t.Start.Add(start + time.Duration(k)*interval)
		r.Received = r.Measured.Add(delay)
		if on := t.Start.Add(arrives); arrives >= 0 && on.After(r.Received) {
			r.Received = on
		}
		for f, xs := range columns {
			if k < len(xs) && !math.IsNaN(xs[k]) {
				r.Values.Set(f, xs[k])
			}
		}
		if len(columns) > 0 && r.Values.Len() == 0 {
			continue
		}
		if err := r.Validate(); err != nil {
			c.Fault(path, "value %d: %v", k+1, err)
			return nil
		}
		out = append(out, r)
	}
	return out
}

func (c *scriptCheck) columns(path string, keys map[string]any, class contract.Class) (map[contract.Field][]float64, int) {
	out, n := make(map[contract.Field][]float64), 0
	for name, v := range keys {
		here := path + "." + name
		f, known := contract.FieldByName(name)
		if !known || !f.In(class) {
			c.Fault(here, "%s: want device, class, code, text, start, interval, delay, arrives, or a field of %s", name, class)
			continue
		}
		xs, err := ParseValues(fmt.Sprint(v))
		if err == nil && len(xs) == 0 {
			err = errors.New("no values")
		}
		for _, x := range xs {
			if err == nil && !math.IsNaN(x) {
				err = f.Check(x)
			}
		}
		c.want(err == nil, here, "%v", err)
		out[f], n = xs, max(n, len(xs))
	}
	return out, n
}
