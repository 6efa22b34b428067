package influx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/domain"
	"go.uber.org/zap"

	"firewatch/ingest"
)

// The policies beside the one of the readings. In 2.x they are the buckets
// "database/m10" and "database/daily".
const (
	policyTenMinutes = "m10"
	policyDaily      = "daily"
)

const oneDay = 24 * time.Hour

// A policy is one retention policy, or one bucket.
type policy struct {
	name     string
	keep     time.Duration // 0: for ever
	shard    time.Duration
	standard bool // of the database
	setting  string
}

// policies lists what Setup makes. Shards are long enough that a question about
// years opens few, and short enough that what is kept beyond its time, up to one
// shard, is little: a week of readings, four weeks of ten-minute windows, 52 weeks
// of days.
func (o *Options) policies() []policy {
	return []policy{
		{o.RetentionPolicy, o.Keep, shardFor(o.Keep, 7*oneDay), true, "influx-keep"},
		{policyTenMinutes, o.KeepTenMinutes, shardFor(o.KeepTenMinutes, 28*oneDay), false, "keep-ten-minutes"},
		{policyDaily, o.KeepDaily, shardFor(o.KeepDaily, 364*oneDay), false, "keep-daily"},
	}
}

// shardFor is the longest shard, want at most, of which two fit into keep.
func shardFor(keep, want time.Duration) time.Duration {
	for _, s := range []time.Duration{364 * oneDay, 28 * oneDay, 7 * oneDay, oneDay} {
		if s <= want && (keep == 0 || 2*s <= keep) {
			return s
		}
	}
	return time.Hour // the shortest that InfluxDB allows
}

// Setup makes the database and its retention policies, or on 2.x the buckets and
// the mappings that let InfluxQL find them, unless they are there. It lengthens a
// policy of 1.8 that keeps less than it should. It shortens none that it has not
// made itself: the Downsampler does, as soon as everything older is summed up. A
// bucket of 2.x that exists keeps its retention. Setup asks nothing that takes
// long, and may be called at every start and in the middle of a write.
func (c *Client) Setup(ctx context.Context) error {
	major, err := c.major(ctx)
	if err != nil {
		return err
	}
	switch major {
	case "2":
		err = c.setupV2(ctx)
	case "3":
		return nil // a database comes into being with its first write
	default: // 1.8, which may call itself unknown when built from source
		err = c.setupV1(ctx)
	}
	if err != nil {
		return fmt.Errorf("setting up InfluxDB %s: %w", c.opt.bucket(), err)
	}
	return nil
}

// major is the first number of the server's version.
func (c *Client) major(ctx context.Context) (string, error) {
	version, err := c.version(ctx)
	major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), ".")
	return major, err
}

func (c *Client) setupV1(ctx context.Context) error {
	_, err := c.kept(ctx)
	said := (*statementError)(nil)
	fresh := errors.As(err, &said) && strings.HasPrefix(said.text, "database not found")
	if err := c.execute(ctx, "CREATE DATABASE "+ident(c.opt.Database)); err != nil {
		return err
	}
	have, err := c.kept(ctx)
	if err != nil {
		return err
	}
	for _, p := range c.opt.policies() {
		keep, found := have[p.name]
		switch {
		case !found:
			err = c.execute(ctx, "CREATE RETENTION POLICY "+ident(p.name)+" ON "+ident(c.opt.Database)+
				" DURATION "+p.duration()+" REPLICATION 1 SHARD DURATION "+influxSeconds(p.shard))
		case keep == p.keep:
		case fresh || longer(p.keep, keep):
			c.log.Info("changing how long is kept", zap.String("policy", p.name), zap.String("keep", p.duration()))
			err = c.alter(ctx, p)
		default:
			if _, told := c.told.LoadOrStore(p.name, true); !told {
				c.log.Warn("a policy keeps more than it is set to: once everything is summed up, what is older will be deleted; to keep it, change the setting now",
					p.loses(keep)...)
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func longer(a, b time.Duration) bool { return b != 0 && (a == 0 || a > b) }

func (p policy) duration() string {
	if p.keep == 0 {
		return "INF"
	}
	return influxSeconds(p.keep)
}

func influxSeconds(d time.Duration) string { return fmt.Sprintf("%ds", int64(d/time.Second)) }

// loses says what is deleted when the policy, which keeps so long, is shortened.
func (p policy) loses(keeps time.Duration) []zap.Field {
	before := p
	before.keep = keeps
	return []zap.Field{
		zap.String("policy", p.name), zap.String("setting", p.setting), zap.String("keeps", before.duration()), zap.String("is_set_to", p.duration()),
		zap.Time("deletes_what_is_before", time.Now().Add(-p.keep)),
	}
}

func (c *Client) alter(ctx context.Context, p policy) error {
	defer c.forgetKept()
	return c.execute(ctx, "ALTER RETENTION POLICY "+ident(p.name)+" ON "+ident(c.opt.Database)+
		" DURATION "+p.duration()+" SHARD DURATION "+influxSeconds(p.shard))
}

// shorten brings the policies of 1.8 that keep too much down to what they should.
// The caller knows that everything older is summed up.
func (c *Client) shorten(ctx context.Context) error {
	if major, err := c.major(ctx); err != nil || major == "2" || major == "3" {
		return err
	}
	have, err := c.kept(ctx)
	if err != nil {
		return err
	}
	for _, p := range c.opt.policies() {
		if keep, found := have[p.name]; found && longer(keep, p.keep) {
			c.log.Warn("a policy is shortened: everything is summed up, and what is older is deleted now", p.loses(keep)...)
			if err := c.alter(ctx, p); err != nil {
				return fmt.Errorf("shortening policy %s: %w", p.name, err)
			}
		}
	}
	return nil
}

// kept asks 1.8 for its policies and how long each keeps, 0 for ever.
func (c *Client) kept(ctx context.Context) (map[string]time.Duration, error) {
	have := map[string]time.Duration{}
	err := c.query(ctx, "SHOW RETENTION POLICIES ON "+ident(c.opt.Database), func(s *series) error {
		for _, row := range s.Values {
			name, duration := "", ""
			for i := range min(len(row), len(s.Columns)) {
				switch v, _ := row[i].(string); s.Columns[i] {
				case "name":
					name = v
				case "duration":
					duration = v
				}
			}
			d, err := time.ParseDuration(duration)
			if err != nil {
				return fmt.Errorf("reading the duration of policy %s: %w", name, err)
			}
			have[name] = d
		}
		return nil
	})
	return have, err
}

// keptFor is how long answers about what rawKept may be old.
const keptFor = 10 * time.Minute

// rawKept is how long readings are really kept, 0 for ever: a policy that was
// long may not have been shortened yet, because not everything is summed up.
// When InfluxDB does not say, it is what is set.
func (c *Client) rawKept(ctx context.Context) time.Duration {
	keep, err := c.askRawKept(ctx)
	if err != nil {
		return c.opt.Keep
	}
	return keep
}

// askRawKept is rawKept that says when InfluxDB does not say.
func (c *Client) askRawKept(ctx context.Context) (time.Duration, error) {
	c.raw.Lock()
	defer c.raw.Unlock()
	if !c.raw.asked.IsZero() && time.Since(c.raw.asked) < keptFor {
		return c.raw.keep, nil
	}
	major, err := c.major(ctx)
	if err != nil {
		return 0, err
	}
	keep := c.opt.Keep
	switch major {
	case "2":
		keep, err = c.keptV2(ctx)
	case "3":
	default:
		var have map[string]time.Duration
		have, err = c.kept(ctx)
		if d, found := have[c.opt.RetentionPolicy]; found {
			keep = d
		}
	}
	if err != nil {
		return 0, fmt.Errorf("asking how long readings are kept: %w", err)
	}
	c.raw.keep, c.raw.asked = keep, time.Now()
	return keep, nil
}

// keptV2 is how long the bucket of the readings keeps. InfluxQL says 0 of each.
func (c *Client) keptV2(ctx context.Context) (time.Duration, error) {
	name := c.opt.bucket()
	list, err := c.client.APIClient().GetBuckets(ctx, &domain.GetBucketsParams{Org: &c.opt.Org, Name: &name})
	if err != nil {
		return 0, err //nolint:wrapcheck // the caller does
	}
	if list.Buckets == nil || len(*list.Buckets) == 0 {
		return c.opt.Keep, nil
	}
	keep := time.Duration(0)
	for _, r := range (*list.Buckets)[0].RetentionRules {
		keep = time.Duration(r.EverySeconds) * time.Second
	}
	return keep, nil
}

func (c *Client) forgetKept() {
	c.raw.Lock()
	defer c.raw.Unlock()
	c.raw.asked = time.Time{}
}

// execute runs a statement that changes something and returns nothing.
func (c *Client) execute(ctx context.Context, statement string) error {
	form := url.Values{"q": {statement}}
	herr := c.service.DoPostRequest(ctx, c.queryURL, strings.NewReader(form.Encode()),
		func(req *http.Request) { req.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
		func(resp *http.Response) error { return decode(resp, func(*series) error { return nil }) })
	if herr != nil {
		return cause(herr)
	}
	return nil
}

func (c *Client) setupV2(ctx context.Context) error {
	if c.opt.Org == "" {
		return errors.New("the server is a 2.x: Org must be set")
	}
	org, err := c.client.OrganizationsAPI().FindOrganizationByName(ctx, c.opt.Org)
	if err != nil {
		return fmt.Errorf("finding organization %s: %w", c.opt.Org, err)
	}
	for _, p := range c.opt.policies() {
		bucket, err := c.bucketV2(ctx, *org.Id, p)
		if err != nil {
			return err
		}
		if err := c.mappingV2(ctx, *org.Id, *bucket.Id, p); err != nil {
			return err
		}
	}
	return nil
}

// mappingV2 lets InfluxQL find the bucket.
func (c *Client) mappingV2(ctx context.Context, orgID, bucketID string, p policy) error {
	api := c.client.APIClient()
	found, err := api.GetDBRPs(ctx, &domain.GetDBRPsParams{OrgID: &orgID, Db: &c.opt.Database, Rp: &p.name})
	if err != nil {
		return fmt.Errorf("listing DBRP mappings: %w", err)
	}
	if found.Content != nil {
		for _, m := range *found.Content {
			if m.BucketID == bucketID {
				return nil // ours of an earlier start, or the one that newer 2.x imply
			}
			if m.Virtual == nil || !*m.Virtual {
				return fmt.Errorf("the DBRP mapping of %s leads to another bucket, %s", c.opt.bucketOf(p.name), m.BucketID)
			}
		}
	}
	if _, err := api.PostDBRP(ctx, &domain.PostDBRPAllParams{Body: domain.PostDBRPJSONRequestBody{
		BucketID: bucketID, Database: c.opt.Database, RetentionPolicy: p.name, Default: &p.standard, OrgID: &orgID,
	}}); err != nil {
		return fmt.Errorf("making the DBRP mapping: %w", err)
	}
	return nil
}

// bucketV2 finds the bucket or makes it.
func (c *Client) bucketV2(ctx context.Context, orgID string, p policy) (*domain.Bucket, error) {
	name := c.opt.bucketOf(p.name)
	find := func() (*domain.Bucket, error) {
		list, err := c.client.APIClient().GetBuckets(ctx, &domain.GetBucketsParams{OrgID: &orgID, Name: &name})
		if err != nil || list.Buckets == nil || len(*list.Buckets) == 0 {
			return nil, err
		}
		return &(*list.Buckets)[0], nil
	}
	// Some releases answer an unknown name with 404 instead of an empty list, so
	// a failed search is only told when the bucket cannot be made either.
	bucket, findErr := find()
	if bucket != nil {
		return bucket, nil
	}
	var rules []domain.RetentionRule
	if p.keep > 0 {
		shard := int64(p.shard / time.Second)
		rules = append(rules, domain.RetentionRule{EverySeconds: int64(p.keep / time.Second), ShardGroupDurationSeconds: &shard})
	}
	bucket, err := c.client.BucketsAPI().CreateBucketWithNameWithID(ctx, orgID, name, rules...)
	if err == nil {
		return bucket, nil
	}
	if again, _ := find(); again != nil { // another process was quicker
		return again, nil
	}
	return nil, fmt.Errorf("making bucket %s: %w", name, errors.Join(err, findErr))
}

// number is a JSON number of an answer, or false.
func number(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := n.Int64()
	return i, err == nil
}

var _ ingest.HealthLog = (*Client)(nil)
