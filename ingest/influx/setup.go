package influx

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/influxdata/influxdb-client-go/v2/domain"
	"go.uber.org/zap"
)

// Setup makes the database and its retention policy, or on 2.x the bucket and
// the mapping that lets InfluxQL find it, unless they are there. It may be
// called at every start.
func (c *Client) Setup(ctx context.Context) error {
	version, err := c.version(ctx)
	if err != nil {
		return err
	}
	switch major, _, _ := strings.Cut(strings.TrimPrefix(version, "v"), "."); major {
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

func (c *Client) setupV1(ctx context.Context) error {
	db, rp := ident(c.opt.Database), ident(c.opt.RetentionPolicy)
	if err := c.execute(ctx, "CREATE DATABASE "+db); err != nil {
		return err
	}
	keep := "INF"
	if c.opt.Keep > 0 {
		keep = fmt.Sprintf("%ds", int64(c.opt.Keep/time.Second))
	}
	err := c.execute(ctx, "CREATE RETENTION POLICY "+rp+" ON "+db+" DURATION "+keep+" REPLICATION 1")
	said := (*statementError)(nil)
	if !errors.As(err, &said) || !strings.Contains(said.text, "already exists") && !strings.Contains(said.text, "conflicts") {
		return err
	}
	// It is there with another duration.
	if c.opt.Keep == 0 {
		return nil
	}
	c.log.Info("changing how long readings are kept", zap.String("bucket", c.opt.bucket()), zap.Duration("keep", c.opt.Keep))
	return c.execute(ctx, "ALTER RETENTION POLICY "+rp+" ON "+db+" DURATION "+keep+" SHARD DURATION 0s")
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
	bucket, err := c.bucketV2(ctx, *org.Id)
	if err != nil {
		return err
	}
	api := c.client.APIClient()
	found, err := api.GetDBRPs(ctx, &domain.GetDBRPsParams{OrgID: org.Id, Db: &c.opt.Database, Rp: &c.opt.RetentionPolicy})
	if err != nil {
		return fmt.Errorf("listing DBRP mappings: %w", err)
	}
	if found.Content != nil {
		for _, m := range *found.Content {
			if m.BucketID == *bucket.Id {
				return nil // ours of an earlier start, or the one that newer 2.x imply
			}
			if m.Virtual == nil || !*m.Virtual {
				return fmt.Errorf("the DBRP mapping of %s leads to another bucket, %s", c.opt.bucket(), m.BucketID)
			}
		}
	}
	isDefault := true
	if _, err := api.PostDBRP(ctx, &domain.PostDBRPAllParams{Body: domain.PostDBRPJSONRequestBody{
		BucketID: *bucket.Id, Database: c.opt.Database, RetentionPolicy: c.opt.RetentionPolicy, Default: &isDefault, OrgID: org.Id,
	}}); err != nil {
		return fmt.Errorf("making the DBRP mapping: %w", err)
	}
	return nil
}

// bucketV2 finds the bucket or makes it.
func (c *Client) bucketV2(ctx context.Context, orgID string) (*domain.Bucket, error) {
	name := c.opt.bucket()
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
	if c.opt.Keep > 0 {
		rules = append(rules, domain.RetentionRule{EverySeconds: int64(c.opt.Keep / time.Second)})
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
