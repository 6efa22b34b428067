package capfeed

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"firewatch/alerts"
	"firewatch/alerts/alertstest/memstore"
	"firewatch/alerts/cap"
)

func doc(id, status, msgType, severity, refs string) string {
	infos := ""
	if msgType != "Cancel" {
		infos = "<info><category>Fire</category><event>森林火险</event><urgency>Expected</urgency><severity>" + severity +
			"</severity><certainty>Likely</certainty><area><areaDesc>易县</areaDesc></area></info>"
	}
	return `<alert xmlns="` + cap.Namespace + `"><identifier>` + id + `</identifier><sender>s</sender><sent>2026-03-14T08:00:00+08:00</sent>` +
		"<status>" + status + "</status><msgType>" + msgType + "</msgType><scope>Public</scope>" + refs + infos + "</alert>"
}

func atom(entries ...string) string {
	return `<feed xmlns="http://www.w3.org/2005/Atom">` + strings.Join(entries, "") + "</feed>"
}

func entry(id, href string) string {
	return `<entry><id>` + id + `</id><updated>2026-03-14T00:00:00Z</updated><link type="application/cap+xml" href="` + href + `"/></entry>`
}

// site is a web server whose pages a test changes, and which counts what it is
// asked for.
type site struct {
	*httptest.Server
	pages map[string]string
	etag  string
	asked map[string]int
	last  http.Header
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{pages: map[string]string{}, asked: map[string]int{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked[r.URL.Path]++
		s.last = r.Header
		body, ok := s.pages[r.URL.Path]
		switch to, moved := strings.CutPrefix(body, "moved "); {
		case !ok:
			http.Error(w, "gone", http.StatusServiceUnavailable)
		case moved:
			http.Redirect(w, r, to, http.StatusFound)
		case s.etag != "" && r.Header.Get("If-None-Match") == s.etag:
			w.WriteHeader(http.StatusNotModified)
		default:
			if s.etag != "" {
				w.Header().Set("ETag", s.etag)
			}
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

// desk is a poller over a store in memory, and its clock.
type desk struct {
	*Poller
	store *memstore.Store
	now   time.Time
	t     *testing.T
}

func newDesk(t *testing.T, urls ...string) *desk {
	t.Helper()
	d := &desk{store: memstore.New(), now: time.Date(2026, 3, 14, 2, 0, 0, 0, time.UTC), t: t}
	if err := d.store.ReplaceRoster(t.Context(), alerts.Roster{Areas: []alerts.Area{
		{Code: "130600", Name: "保定市", Level: alerts.City}, {Code: "130633", Name: "易县", Level: alerts.County, Parent: "130600"},
	}}, d.now); err != nil {
		t.Fatal(err)
	}
	p, err := New(Options{
		URLs: urls, Warnings: d.store, Feeds: d.store, Roster: d.store, Audit: d.store, Lease: d.store, Holder: "h",
		Now: func() time.Time { return d.now }, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	d.Poller = p
	return d
}

// after polls when so much time has passed.
func (d *desk) after(wait time.Duration) alerts.WarningFeed {
	d.t.Helper()
	d.now = d.now.Add(wait)
	d.round(d.t.Context())
	feeds, err := d.store.WarningFeeds(d.t.Context())
	if err != nil || len(feeds) == 0 {
		d.t.Fatalf("%v, %v", feeds, err)
	}
	return feeds[0]
}

// warnings are those of the store, those in force alone where asked.
func (d *desk) warnings(inForce bool) (ids []string) {
	d.t.Helper()
	var when time.Time
	if inForce {
		when = d.now
	}
	ws, err := d.store.Warnings(d.t.Context(), when, 100)
	if err != nil {
		d.t.Fatal(err)
	}
	for _, w := range ws {
		ids = append(ids, w.Identifier)
	}
	slices.Sort(ids)
	return ids
}

func (d *desk) want(inForce bool, ids ...string) {
	d.t.Helper()
	if got := d.warnings(inForce); !slices.Equal(got, ids) {
		d.t.Errorf("warnings %v, want %v", got, ids)
	}
}

func TestEachDocumentIsFetchedOnce(t *testing.T) {
	s := newSite(t)
	s.pages["/feed"] = atom(entry("a", "/a.cap"), entry("b", "b.cap"), "<entry><id>c</id><content>"+doc("w3", "Actual", "Alert", "RED", "")+"</content></entry>")
	s.pages["/a.cap"], s.pages["/b.cap"] = doc("w1", "Actual", "Alert", "RED", ""), doc("w2", "Exercise", "Alert", "RED", "")
	d := newDesk(t, s.URL+"/feed")
	f := d.after(0)
	if f.Stale(d.now) || f.Fault != "" || !f.Fresh.Equal(d.now) {
		t.Errorf("feed %+v", f)
	}
	d.want(false, "w1", "w2", "w3")
	d.want(true, "w1", "w3") // a drill never counts
	d.after(time.Minute)
	d.after(time.Minute)
	if s.asked["/feed"] != 3 || s.asked["/a.cap"] != 1 || s.asked["/b.cap"] != 1 {
		t.Errorf("asked %v", s.asked)
	}
	d.after(time.Second)
	if s.asked["/feed"] != 3 {
		t.Error("asked before it was time")
	}
	s.pages["/feed"] = strings.Replace(s.pages["/feed"], "00:00:00Z", "00:05:00Z", 1) // the first entry is new
	d.after(time.Minute)
	if s.asked["/a.cap"] != 2 || s.asked["/b.cap"] != 1 {
		t.Errorf("asked %v", s.asked)
	}
	log, err := d.store.Audits(t.Context(), 10)
	if err != nil || len(log) != 3 || !strings.HasPrefix(log[0].Actor, "feed:http://") {
		t.Errorf("record %+v, %v", log, err)
	}
}

func TestGoneFromTheFeedIsNotCancelled(t *testing.T) {
	s := newSite(t)
	s.pages["/feed"] = atom("<entry><id>a</id><content>" + doc("w1", "Actual", "Alert", "RED", "") + "</content></entry>")
	d := newDesk(t, s.URL+"/feed")
	d.after(0)
	s.pages["/feed"] = atom()
	if f := d.after(time.Minute); f.Stale(d.now) {
		t.Errorf("feed %+v", f)
	}
	d.want(true, "w1")
	s.pages["/feed"] = atom("<entry><id>b</id><content>" +
		strings.Replace(doc("w2", "Actual", "Cancel", "", "<references>s,w1,2026-03-14T08:00:00+08:00</references>"), "T08:00:00+08:00</sent>", "T10:01:00+08:00</sent>", 1) +
		"</content></entry>")
	d.after(time.Minute)
	d.want(true)
}

func TestConditionalRequests(t *testing.T) {
	s := newSite(t)
	s.etag = `"1"`
	s.pages["/feed"] = atom()
	d := newDesk(t, s.URL+"/feed")
	d.after(0)
	if f := d.after(time.Minute); f.Stale(d.now) || !f.Fresh.Equal(d.now) || s.last.Get("If-None-Match") != `"1"` {
		t.Errorf("feed %+v, asked with %v", f, s.last)
	}
	// A document that could not be fetched must come again, whatever the feed says.
	s.etag, s.pages["/feed"] = `"2"`, atom(entry("a", "/a.cap"))
	if f := d.after(time.Minute); f.Fault == "" {
		t.Errorf("feed %+v", f)
	}
	s.pages["/a.cap"] = doc("w1", "Actual", "Alert", "RED", "")
	s.etag = ""
	if f := d.after(time.Minute); f.Fault != "" || s.last.Get("If-None-Match") != "" {
		t.Errorf("feed %+v, asked with %v", f, s.last)
	}
	d.want(true, "w1")
}

func TestAStaleFeedIsUnknownNotCalm(t *testing.T) {
	s := newSite(t)
	d := newDesk(t, s.URL+"/feed")
	if f := d.after(0); !f.Stale(d.now) || !strings.Contains(f.Fault, "503") {
		t.Errorf("never read, and yet %+v", f)
	}
	s.pages["/feed"] = atom()
	if f := d.after(time.Minute); f.Stale(d.now) {
		t.Errorf("read, and yet %+v", f)
	}
	delete(s.pages, "/feed")
	var f alerts.WarningFeed
	for range 15 {
		if f = d.after(time.Minute); f.Stale(d.now) {
			t.Fatalf("stale at %s: %+v", d.now, f)
		}
	}
	if f = d.after(time.Minute); !f.Stale(d.now) {
		t.Errorf("after 16 minutes: %+v", f)
	}
	s.pages["/feed"] = atom()
	if f = d.after(maxBackoff); f.Stale(d.now) || f.Fault != "" {
		t.Errorf("it is back: %+v", f)
	}
}

func TestFailuresAreAskedForLessOften(t *testing.T) {
	s := newSite(t)
	d := newDesk(t, s.URL+"/feed")
	for range 60 {
		d.after(time.Minute)
	}
	if n := s.asked["/feed"]; n < 12 || n > 16 { // 1, 2, 4, 5, 5 … minutes
		t.Errorf("asked %d times in an hour", n)
	}
}

func TestAFaultyDocumentIsToldAndKeepsNothingBack(t *testing.T) {
	s := newSite(t)
	s.pages["/feed"] = atom(entry("a", "/a.cap"), entry("b", "/b.cap"))
	s.pages["/a.cap"], s.pages["/b.cap"] = "<html/>", doc("w1", "Actual", "Alert", "RED", "")
	d := newDesk(t, s.URL+"/feed")
	for range 2 {
		if f := d.after(time.Minute); f.Stale(d.now) || !strings.Contains(f.Fault, "a warning could not be read: CAP: line 1: the document is a html") {
			t.Errorf("feed %+v", f)
		}
	}
	d.want(true, "w1")
	if s.asked["/a.cap"] != 1 {
		t.Errorf("asked %v", s.asked)
	}
}

func TestAggregatorsJSON(t *testing.T) {
	s := newSite(t)
	const item = `{"id":"1","sender":"易县气象台","pubTime":"2026-03-14T08:00+08:00","title":"易县气象台发布大风红色预警","typeName":"大风","status":"active"}`
	s.pages["/now"] = `{"code":"200","warning":[` + item + `]}`
	d := newDesk(t, s.URL+"/now?key=geheim")
	f := d.after(0)
	d.want(true, "1")
	if f.Fault != "" || strings.Contains(f.Name, "geheim") || !strings.Contains(f.Name, "/now#") {
		t.Errorf("feed %+v", f)
	}
	s.pages["/now"] = `{"code":"200","warning":[` + strings.Replace(item, `"active"`, `"cancel"`, 1) + `]}`
	d.after(time.Minute)
	d.want(true)
	d.want(false, "1", "1.cancel")
	s.pages["/now"] = `{"code":"402"}`
	if f := d.after(time.Minute); !strings.Contains(f.Fault, "402") {
		t.Errorf("feed %+v", f)
	}
}

func TestWhatIsNotFollowed(t *testing.T) {
	s := newSite(t)
	s.pages["/file"], s.pages["/tls"] = "moved file:///etc/passwd", "moved https://127.0.0.1:1/"
	s.pages["/round"] = "moved /round"
	s.pages["/large"] = strings.Repeat(" ", cap.MaxFeedBytes+1)
	s.pages["/html"] = "<html/>"
	s.pages["/links"] = atom(entry("a", "file:///etc/passwd"))
	for path, want := range map[string]string{
		"/file": "a redirect from http to file", "/tls": "a redirect from http to https", "/round": "too many redirects",
		"/large": "more than 4194304 bytes", "/html": "neither CAP nor a feed", "/links": "none that is asked for", "/none": "status 503",
	} {
		d := newDesk(t, s.URL+path+"?key=geheim")
		f := d.after(0)
		if !f.Stale(d.now) || !strings.Contains(f.Fault, want) || strings.Contains(f.Fault, "geheim") {
			t.Errorf("%s: %+v", path, f)
		}
	}
}

func TestOneProcessPolls(t *testing.T) {
	s := newSite(t)
	s.pages["/feed"] = atom()
	first := newDesk(t, s.URL+"/feed")
	p, err := New(Options{
		URLs: []string{s.URL + "/feed"}, Warnings: first.store, Feeds: first.store, Roster: first.store, Lease: first.store, Holder: "other",
		Now: func() time.Time { return first.now }, Log: zap.NewNop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	first.after(0)
	p.round(t.Context())
	if s.asked["/feed"] != 1 || p.Ready() != nil {
		t.Errorf("asked %v, %v", s.asked, p.Ready())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := first.Run(ctx); err != nil { // gives the lease up
		t.Fatal(err)
	}
	first.now = first.now.Add(leaseTTL)
	p.round(t.Context())
	if s.asked["/feed"] != 2 {
		t.Errorf("asked %v after the first stopped", s.asked)
	}
}

func TestOptions(t *testing.T) {
	good := func() Options {
		m := memstore.New()
		return Options{URLs: []string{"https://a.cn/x"}, Warnings: m, Feeds: m, Roster: m, Lease: m, Holder: "h", Log: zap.NewNop()}
	}
	for want, change := range map[string]func(*Options){
		"URLs":          func(o *Options) { o.URLs = nil },
		"the 1. is no":  func(o *Options) { o.URLs = []string{"ftp://geheim"} },
		"twice":         func(o *Options) { o.URLs = append(o.URLs, o.URLs...) },
		"Warnings":      func(o *Options) { o.Warnings = nil },
		"Feeds":         func(o *Options) { o.Feeds = nil },
		"Roster":        func(o *Options) { o.Roster = nil },
		"Lease":         func(o *Options) { o.Lease = nil },
		"Holder":        func(o *Options) { o.Holder = "" },
		"Log":           func(o *Options) { o.Log = nil },
		"Every 1s":      func(o *Options) { o.Every = time.Second },
		"StaleAfter 1m": func(o *Options) { o.StaleAfter = time.Minute },
	} {
		o := good()
		change(&o)
		if _, err := New(o); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", want, err)
		}
	}
}
