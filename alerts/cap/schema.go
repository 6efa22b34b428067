package cap

// spec is what the schema says of one element.
type spec struct {
	name     string
	required bool
	many     bool
	filled   bool     // may not be empty
	large    bool     // may hold an attachment
	words    []string // the values it may have; nil: any
	kids     []*spec  // in order
}

func opt(name string) *spec { return &spec{name: name} }

func must(name string) *spec { return &spec{name: name, required: true, filled: true} }

func word(name string, words ...string) *spec { return &spec{name: name, required: true, words: words} }

func several(name string) *spec { return &spec{name: name, many: true} }

func group(name string, kids ...*spec) *spec { return &spec{name: name, many: true, kids: kids} }

func pair(name string) *spec {
	return group(name, must("valueName"), &spec{name: "value", required: true})
}

func (s *spec) each(required bool) *spec { s.many, s.required = true, required; return s }

func (s *spec) attachment() *spec { s.large = true; return s }

func timeOf(name string) *spec { return &spec{name: name, filled: true} }

func optWords(name string, words ...string) *spec { return &spec{name: name, words: words} }

// schema is the element alert of CAP-v1.2.xsd. Severity is checked where it is
// read: it may be a colour too.
var schema = &spec{name: "alert", kids: []*spec{
	must("identifier"),
	must("sender"),
	must("sent"),
	word("status", "Actual", "Exercise", "System", "Test", "Draft"),
	word("msgType", "Alert", "Update", "Cancel", "Ack", "Error"),
	opt("source"),
	word("scope", "Public", "Restricted", "Private"),
	opt("restriction"),
	opt("addresses"),
	several("code"),
	opt("note"),
	opt("references"),
	opt("incidents"),
	group(
		"info",
		opt("language"),
		word("category", "Geo", "Met", "Safety", "Security", "Rescue", "Fire", "Health", "Env", "Transport", "Infra", "CBRNE", "Other").each(true),
		must("event"),
		optWords("responseType", "Shelter", "Evacuate", "Prepare", "Execute", "Avoid", "Monitor", "Assess", "AllClear", "None").each(false),
		word("urgency", "Immediate", "Expected", "Future", "Past", "Unknown"),
		must("severity"),
		word("certainty", "Observed", "Likely", "Possible", "Unlikely", "Unknown"),
		opt("audience"),
		pair("eventCode"),
		timeOf("effective"),
		timeOf("onset"),
		timeOf("expires"),
		opt("senderName"),
		opt("headline"),
		opt("description"),
		opt("instruction"),
		opt("web"),
		opt("contact"),
		pair("parameter"),
		group(
			"resource",
			must("resourceDesc"),
			must("mimeType"),
			opt("size"),
			opt("uri"),
			opt("derefUri").attachment(),
			opt("digest"),
		),
		group(
			"area",
			must("areaDesc"),
			several("polygon"),
			several("circle"),
			pair("geocode"),
			opt("altitude"),
			opt("ceiling"),
		),
	),
}}
