package influxd

import (
	"fmt"
	"strconv"
	"strings"
)

// A layout is where one server keeps its files and listens.
type layout struct {
	dir  string // absolute
	addr string // host:port of the HTTP listener
	auth bool
}

// config is the server's configuration file. The choices in it:
//
//   - Index inmem. Measured against tsi1 with 14,000 devices in 30 weekly
//     shards: CPU per point is the same, new shards fill two to three times as
//     fast, memory after a start is 95 MB instead of 300 MB, and the start takes
//     2.9 s instead of 1.0 s. tsi1 is for hundreds of thousands of devices.
//   - The WAL is synced before each answer (wal-fsync-delay 0s, the default):
//     a 204 means that the points are on the disk, and the journal may let go.
//   - The cache of one shard is bounded, and so are queries in number, time and
//     points, so that a careless chart cannot take the machine down. Over the
//     cache's bound writes are refused with an error that the sink retries.
//   - Nothing listens but HTTP and, on a free loopback port, the backup service,
//     which 1.8 cannot switch off.
//   - Continuous queries are on: downsampling will need them.
func (l layout) config() (string, error) {
	if strings.ContainsFunc(l.dir, func(r rune) bool { return r < ' ' || r == 0x7f || r == '�' }) {
		return "", fmt.Errorf("directory %q: control characters are not allowed", l.dir)
	}
	q := func(sub string) string { return strconv.Quote(l.dir + "/" + sub) }
	return fmt.Sprintf(`# Written at every start; changes made here are lost.
reporting-disabled = true
bind-address = "127.0.0.1:0"

[meta]
  dir = %s
  logging-enabled = false

[data]
  dir = %s
  wal-dir = %s
  index-version = "inmem"
  wal-fsync-delay = "0s"
  query-log-enabled = false
  cache-max-memory-size = "256m"
  cache-snapshot-memory-size = "25m"
  cache-snapshot-write-cold-duration = "10m"
  max-series-per-database = 1000000
  max-values-per-tag = 100000

[coordinator]
  write-timeout = "10s"
  max-concurrent-queries = 64
  query-timeout = "30s"
  max-select-point = 100000000
  max-select-buckets = 1000000

[retention]
  enabled = true
  check-interval = "30m"

[shard-precreation]
  enabled = true

[monitor]
  store-enabled = false

[subscriber]
  enabled = false

[http]
  enabled = true
  bind-address = %s
  auth-enabled = %t
  log-enabled = false
  suppress-write-log = true
  flux-enabled = false
  pprof-enabled = false
  max-body-size = 25000000
  max-connection-limit = 256

[logging]
  format = "logfmt"
  level = "info"
  suppress-logo = true

[continuous_queries]
  enabled = true
  log-enabled = false

[[graphite]]
  enabled = false
[[collectd]]
  enabled = false
[[opentsdb]]
  enabled = false
[[udp]]
  enabled = false
`, q("meta"), q("data"), q("wal"), strconv.Quote(l.addr), l.auth), nil
}
