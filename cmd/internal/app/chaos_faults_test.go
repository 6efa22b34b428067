package app

import (
	"cmp"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// for a while, up to the longest.
func (c *world) while(most time.Duration) time.Duration {
	return time.Duration(c.rand.Int64N(int64(most))) + 50*time.Millisecond
}

// fault does one thing that can happen.
func (c *world) fault() {
	c.t.Helper()
	faults := []func(){c.killFirewatch, c.killFirewatch, c.killInflux, c.stallInflux, c.stallFirewatch, c.fillDisk}
	if c.broker != nil {
		faults = append(faults, c.killBroker, c.stallBroker)
	}
	faults[c.rand.IntN(len(faults))]()
}

func (c *world) killFirewatch() {
	c.fw.kill()
	wait := c.while(time.Second)
	c.say("firewatch killed for %v", wait)
	time.Sleep(wait)
	c.fw = spawn(c.t, c.args...)
}

func (c *world) killInflux() {
	pid, err := c.influxPID()
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	c.say("influxd killed (%v)", err)
}

// stall stops a process without ending it, as a network does that swallows
// everything.
func (c *world) stall(what string, pid int, wait time.Duration) {
	c.say("%s stands still for %v", what, wait)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		c.say("it was gone: %v", err)
		return
	}
	time.Sleep(wait)
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		c.t.Error(err)
	}
}

func (c *world) stallInflux() {
	if pid, err := c.influxPID(); err == nil {
		c.stall("influxd", pid, cmp.Or(c.outage, c.while(2*time.Second)))
	}
}

func (c *world) stallFirewatch() { c.stall("firewatch", c.fw.cmd.Process.Pid, c.while(time.Second)) }
func (c *world) stallBroker()    { c.stall("mosquitto", c.broker.PID(), c.while(time.Second)) }

// hears waits until what is published now reaches InfluxDB: mosquitto has lost the
// session when it was killed, and until firewatch has a new one it acknowledges
// what nobody will ever get.
func (c *world) hears() {
	c.t.Helper()
	n := 0
	eventually(c.t, "a reading that was published after the faults", func() bool {
		n++
		if err := tryMosquittoPub(c.broker.Addr, "", "fw/v1/trackers/bd-t-00999/status", fmt.Sprintf(`{"t":%d,"battery_pct":%d}`, time.Now().UnixMilli(), n%100)); err != nil {
			return false
		}
		body, err := c.query(`SELECT count("battery_pct") FROM "device_status"`)
		return err == nil && strings.Contains(string(body), "device_status")
	})
}

func (c *world) query(q string) ([]byte, error) {
	return get(c.influx.URL()+"/query?"+url.Values{"db": {c.database}, "epoch": {"ms"}, "q": {q}}.Encode(), "Token "+c.influx.Token())
}

func (c *world) killBroker() {
	c.killedBroker = true
	c.broker.Kill(c.t)
	wait := c.while(time.Second)
	c.say("mosquitto killed for %v", wait)
	time.Sleep(wait)
	c.broker.Start(c.t)
}

// fillDisk leaves no byte free on firewatch's disk for a while.
func (c *world) fillDisk() {
	path := filepath.Join(c.data, "filler")
	f, err := os.Create(path)
	if err != nil {
		c.say("disk was full already: %v", err)
		return
	}
	block := make([]byte, 1<<16)
	n := 0
	for err == nil && n < 200<<20 { // never the machine's own disk
		var k int
		k, err = f.Write(block)
		n += k
	}
	if !errors.Is(err, syscall.ENOSPC) {
		c.say("the disk could not be filled: %v", err)
	}
	wait := c.while(time.Second)
	c.say("disk full for %v", wait)
	time.Sleep(wait)
	if err := errors.Join(f.Close(), os.Remove(path)); err != nil {
		c.t.Error(err)
	}
}
