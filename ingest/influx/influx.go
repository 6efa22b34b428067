// Package influx stores readings in InfluxDB and reads them back: it is
// ingest.Sink, ingest.QuarantineLog and ingest.History in one Client.
//
// It writes line protocol to /api/v2/write through the official client, and
// reads in InfluxQL from /query, which 1.8 and 2.x both answer. 1.8.3 is what
// the tests run against. The set-up of 2.x (bucket and DBRP mapping) was only
// tested against a small server written from the API's documentation, not
// against the real one; 3.x was not tested at all.
package influx

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	influxdb2 "github.com/influxdata/influxdb-client-go/v2"
	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"
	"go.uber.org/zap"

	contract "firewatch/firmware-contracts"
	"firewatch/ingest"
)

// Options say where InfluxDB is and how to use it.
type Options struct {
	URL string // http://host:8086
	// Token is an API token of 2.x, or "user:password" of 1.8. User and
	// Password are the other way to say the latter. All empty: no credential.
	Token    string
	User     string
	Password string
	Org      string // 2.x only
	Database string // default firewatch
	// RetentionPolicy is where in the database the readings go, default
	// autogen. In 2.x the bucket is called "database/policy".
	RetentionPolicy string
	// Keep is how long readings are kept, at least 1 h; 0: for ever. Shortening it
	// lets a Downsampler delete what is older, when that is summed up.
	Keep time.Duration
	// KeepTenMinutes is how long windows of ten minutes are kept in the policy m10,
	// and KeepDaily how long those of a day, and SOS and reports as they came, in
	// the policy daily. At least 48 h; 0: for ever.
	KeepTenMinutes time.Duration
	KeepDaily      time.Duration
	HTTPTimeout    time.Duration   // of one request, default 20 s; a write has as much again for each 2 MiB
	Gzip           Gzip            // when writes are compressed, default GzipAuto
	MaxBody        int             // bytes of line protocol in one request, default 8 MiB, at least 16 KiB
	Registry       ingest.Registry // gives the area of a device; nil: no area is stored
	Log            *zap.Logger     // nil is silent
}

// A Client writes to and reads from one database. Its methods may be called
// from several goroutines at once.
type Client struct {
	opt      Options
	log      *zap.Logger
	client   influxdb2.Client
	http     *http.Client
	service  influxhttp.Service
	writer   influxhttp.Service // has no time-out of its own; also for questions that take minutes
	writeURL string
	queryURL string
	enc      encoder
	sortFrom int // readings in a batch that is sorted
	bound    bound
	suspects suspects
	remote   atomic.Bool // the last connection leads out of the local network
	buffers  sync.Pool   // of *batch
	packers  sync.Pool   // of *packer
	last     [contract.Status + 1]newest[contract.Reading]
	health   newest[ingest.DeviceHealth]
	raw      struct {
		sync.Mutex
		asked time.Time
		keep  time.Duration
	}
	told    sync.Map        // policies that somebody was warned of
	slow    *http.Client    // for long answers: as long as the context allows
	life    context.Context //nolint:containedctx // of the questions, until Close
	end     context.CancelFunc
	flights sync.WaitGroup // questions that go on without their asker
}

var (
	_ ingest.Sink          = (*Client)(nil)
	_ ingest.EntrySink     = (*Client)(nil)
	_ ingest.QuarantineLog = (*Client)(nil)
	_ ingest.History       = (*Client)(nil)
)

// New checks the options and returns a client. It does not dial.
func New(o Options) (*Client, error) {
	base, err := o.check()
	if err != nil {
		return nil, err
	}
	c := &Client{
		opt: o, log: o.Log, sortFrom: largeBatch,
		enc:     encoder{registry: o.Registry},
		bound:   bound{most: o.MaxBody, now: o.MaxBody},
		buffers: sync.Pool{New: func() any { return newBatch() }},
		packers: sync.Pool{New: func() any { return new(packer) }},
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         c.dial(&net.Dialer{Timeout: 5 * time.Second}),
		TLSHandshakeTimeout: 5 * time.Second,
		MaxIdleConns:        16,
		MaxIdleConnsPerHost: 16,
		IdleConnTimeout:     90 * time.Second,
		WriteBufferSize:     64 << 10,
		ReadBufferSize:      64 << 10,
	}
	c.http = &http.Client{Timeout: o.HTTPTimeout, Transport: transport}
	token := o.Token
	if o.User != "" {
		token = o.User + ":" + o.Password
	}
	c.client = influxdb2.NewClientWithOptions(base.String(), token,
		influxdb2.DefaultOptions().SetHTTPClient(c.http).SetApplicationName("firewatch"))
	c.service = c.client.HTTPService()
	c.writer = influxhttp.NewService(base.String(), c.service.Authorization(),
		influxhttp.DefaultOptions().SetHTTPClient(&http.Client{Transport: transport}).SetApplicationName("firewatch"))
	write := url.Values{"bucket": {o.bucket()}, "precision": {"ns"}}
	if o.Org != "" {
		write.Set("org", o.Org)
	}
	c.writeURL = base.JoinPath("api/v2/write").String() + "?" + write.Encode()
	c.queryURL = base.JoinPath("query").String()
	c.slow = &http.Client{Transport: transport}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// check fills in the defaults and names the option that cannot be.
func (o *Options) check() (*url.URL, error) {
	base, err := url.Parse(o.URL)
	switch {
	case err != nil:
		return nil, fmt.Errorf("influx: URL: %w", errors.Unwrap(err)) // without the text, which may hold a password
	case base.Scheme != "http" && base.Scheme != "https" || base.Host == "":
		return nil, errors.New("influx: URL: want http://host:port or https://host:port")
	case base.User != nil || base.RawQuery != "" || base.Fragment != "":
		return nil, errors.New("influx: URL: credentials, query and fragment are not allowed in it")
	case o.Token != "" && (o.User != "" || o.Password != ""):
		return nil, errors.New("influx: Token: give a token or User and Password, not both")
	case o.User == "" && o.Password != "":
		return nil, errors.New("influx: User: empty, but Password is given")
	case strings.ContainsAny(o.User, ": "):
		return nil, errors.New("influx: User: colons and spaces are not allowed")
	case strings.ContainsAny(o.Token+o.Password, " \r\n"):
		return nil, errors.New("influx: Token: spaces and line breaks are not allowed in a token or password")
	case o.Keep < 0 || o.Keep > 0 && o.Keep < time.Hour:
		return nil, errors.New("influx: Keep: at least 1h, or 0 for ever")
	case o.KeepTenMinutes < 0 || o.KeepTenMinutes > 0 && o.KeepTenMinutes < 2*oneDay:
		return nil, errors.New("influx: KeepTenMinutes: at least 48h, or 0 for ever")
	case o.KeepDaily < 0 || o.KeepDaily > 0 && o.KeepDaily < 2*oneDay:
		return nil, errors.New("influx: KeepDaily: at least 48h, or 0 for ever")
	case o.HTTPTimeout < 0:
		return nil, errors.New("influx: HTTPTimeout: negative")
	case o.Gzip > GzipOn:
		return nil, fmt.Errorf("influx: Gzip: %s: want auto, off or on", o.Gzip)
	case o.MaxBody != 0 && o.MaxBody < boundLeast:
		return nil, fmt.Errorf("influx: MaxBody %d: want at least %d bytes", o.MaxBody, boundLeast)
	}
	if o.MaxBody == 0 {
		o.MaxBody = 8 << 20
	}
	if o.Database == "" {
		o.Database = "firewatch"
	}
	if o.RetentionPolicy == "" {
		o.RetentionPolicy = "autogen"
	}
	if !validName(o.Database) {
		return nil, fmt.Errorf("influx: Database %q: want 1 to 64 letters, digits, . _ or -", o.Database)
	}
	if !validName(o.RetentionPolicy) {
		return nil, fmt.Errorf("influx: RetentionPolicy %q: want 1 to 64 letters, digits, . _ or -", o.RetentionPolicy)
	}
	if o.RetentionPolicy == policyTenMinutes || o.RetentionPolicy == policyDaily {
		return nil, fmt.Errorf("influx: RetentionPolicy %q: is the name of one that summaries go to", o.RetentionPolicy)
	}
	if o.HTTPTimeout == 0 {
		o.HTTPTimeout = 20 * time.Second
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return base, nil
}

func (o *Options) bucket() string { return o.bucketOf(o.RetentionPolicy) }

func (o *Options) bucketOf(policy string) string { return o.Database + "/" + policy }

// validName allows what needs no quoting rules in a statement or a bucket name.
func validName(s string) bool {
	return s != "" && len(s) <= 64 && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("._-", r)
	})
}

// Close ends questions that nobody waits for and lets go of idle connections.
func (c *Client) Close() {
	c.end()
	c.flights.Wait()
	c.client.Close()
	c.http.CloseIdleConnections()
}

// Ready reports why InfluxDB does not answer, or nil. It checks neither the
// credential nor the database.
func (c *Client) Ready(ctx context.Context) error {
	_, err := c.version(ctx)
	return err
}

// version asks the server who it is.
func (c *Client) version(ctx context.Context) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(c.queryURL, "query")+"ping", http.NoBody)
	if err != nil {
		return "", fmt.Errorf("asking InfluxDB for its version: %w", err)
	}
	version := ""
	herr := c.service.DoHTTPRequest(req, nil, func(resp *http.Response) error {
		version = resp.Header.Get("X-Influxdb-Version")
		return drain(resp)
	})
	if herr != nil {
		return "", fmt.Errorf("asking InfluxDB for its version: %w", cause(herr))
	}
	return version, nil
}

// drain reads an answer to its end, so that the connection can be used again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return errors.Join(err, resp.Body.Close())
}

// cause turns the client's error into one that is short enough to be shown:
// without the address and its query, which say nothing to a person.
func cause(e *influxhttp.Error) error {
	if ue := (*url.Error)(nil); errors.As(e.Err, &ue) {
		return ue.Err
	}
	if e.Err != nil && e.StatusCode == 0 {
		return e.Err
	}
	err := fmt.Errorf("%d: %s", e.StatusCode, clip(message(e)))
	if e.StatusCode == http.StatusUnauthorized || e.StatusCode == http.StatusForbidden {
		return fmt.Errorf("%w: %w", ingest.ErrUnauthorized, err)
	}
	return err
}

// message is what the server said, wherever its version says it.
func message(e *influxhttp.Error) string {
	if m := strings.TrimSpace(e.Message); m != "" {
		return m
	}
	if m := e.Header.Get("X-Influxdb-Error"); m != "" {
		return m
	}
	return strings.ToLower(http.StatusText(e.StatusCode))
}

func clip(s string) string {
	const most = 300 // bytes
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
