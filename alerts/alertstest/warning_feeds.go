package alertstest

import (
	"time"

	"firewatch/alerts"
)

var warningFeedTests = map[string]func(check){
	"FeedsComeBackByName": func(t check) {
		s := t.store
		heard := alerts.WarningFeed{Name: "https://b.cn/feed", Since: at(0), Polled: at(3), Fresh: at(2), StaleAfter: 15 * time.Minute, Fault: "status 503"}
		never := alerts.WarningFeed{Name: "https://a.cn/feed", StaleAfter: time.Minute}
		must(t, s.SaveWarningFeed(t.Context(), heard))
		must(t, s.SaveWarningFeed(t.Context(), never))
		equal(t, "feeds", got(s.WarningFeeds(t.Context()))(t), []alerts.WarningFeed{never, heard})
		heard.Fresh, heard.Fault = at(4), ""
		must(t, s.SaveWarningFeed(t.Context(), heard))
		equal(t, "feeds later", got(s.WarningFeeds(t.Context()))(t), []alerts.WarningFeed{never, heard})
		must(t, s.KeepWarningFeeds(t.Context(), []string{heard.Name, "https://c.cn/feed"}))
		equal(t, "kept", got(s.WarningFeeds(t.Context()))(t), []alerts.WarningFeed{heard})
		must(t, s.KeepWarningFeeds(t.Context(), nil))
		equal(t, "none", len(got(s.WarningFeeds(t.Context()))(t)), 0)
	},
}
