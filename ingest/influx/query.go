package influx

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	influxhttp "github.com/influxdata/influxdb-client-go/v2/api/http"

	"firewatch/ingest"
)

// A series is one block of rows of an InfluxQL answer.
type series struct {
	Tags    map[string]string `json:"tags"`
	Columns []string          `json:"columns"`
	Values  [][]any           `json:"values"`
}

// A statementError is what InfluxDB says of a statement that it could read but
// not carry out.
type statementError struct{ text string }

func (e *statementError) Error() string { return e.text }

// ident and literal quote a name and a string for a statement. All that is
// given to them was checked before; this is the second lock on the door.
func ident(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(s) + `"`
}

func literal(s string) string {
	return `'` + strings.NewReplacer(`\`, `\\`, `'`, `\'`, "\n", `\n`).Replace(s) + `'`
}

// query runs a SELECT and hands over its series as they come. GET makes it
// read-only for the server too.
func (c *Client) query(ctx context.Context, statement string, each func(*series) error) error {
	return c.ask(ctx, c.service, statement, each)
}

// searchLimit is how long a question may take that opens every shard there is.
const searchLimit = 10 * time.Minute

// search is query for the questions of a background task, which may take minutes.
func (c *Client) search(ctx context.Context, statement string, each func(*series) error) error {
	ctx, cancel := context.WithTimeout(ctx, searchLimit)
	defer cancel()
	return c.ask(ctx, c.writer, statement, each)
}

func (c *Client) ask(ctx context.Context, service influxhttp.Service, statement string, each func(*series) error) error {
	params := url.Values{
		"db": {c.opt.Database}, "rp": {c.opt.RetentionPolicy},
		"epoch": {"ns"}, "chunked": {"true"}, "q": {statement},
	}
	if c.opt.Org != "" {
		params.Set("org", c.opt.Org)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.queryURL+"?"+params.Encode(), http.NoBody)
	if err != nil {
		return fmt.Errorf("%w: %w", ingest.ErrHistoryAway, err)
	}
	herr := service.DoHTTPRequest(req, nil, func(resp *http.Response) error { return decode(resp, each) })
	if herr != nil {
		return fmt.Errorf("%w: %w", ingest.ErrHistoryAway, cause(herr))
	}
	return nil
}

// decode reads an answer, which in chunks is one JSON document after another.
func decode(resp *http.Response, each func(*series) error) (err error) {
	defer func() { err = errors.Join(err, drain(resp)) }()
	dec := json.NewDecoder(resp.Body)
	dec.UseNumber()
	for {
		var doc struct {
			Error   string `json:"error"`
			Results []struct {
				Error  string   `json:"error"`
				Series []series `json:"series"`
			} `json:"results"`
		}
		if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the answer: %w", err)
		}
		if doc.Error != "" {
			return &statementError{clip(doc.Error)}
		}
		for i := range doc.Results {
			if text := doc.Results[i].Error; text != "" {
				return &statementError{clip(text)}
			}
			for j := range doc.Results[i].Series {
				if err := each(&doc.Results[i].Series[j]); err != nil {
					return err
				}
			}
		}
	}
}
