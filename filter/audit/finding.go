package audit

import (
	"cmp"
	"slices"
	"strings"
)

// Rank is how bad a finding is.
type Rank string

// The ranks, worst first.
const (
	Broken Rank = "broken" // mail of the domain is refused or anybody can send in its name; or a record does nothing
	Weak   Rank = "weak"   // works, but not everywhere or against everybody
	Advice Rank = "advice" // could be better
	Fine   Rank = "fine"   // is as it should be
)

func (r Rank) order() int {
	return slices.Index([]Rank{Broken, Weak, Advice, Fine}, r)
}

// Finding is one thing that the owner should know.
type Finding struct {
	Rank    Rank     `json:"rank"`
	Area    string   `json:"area"` // "spf", "dkim", "dmarc", "mx" or "audit"
	Code    Code     `json:"code"`
	Name    string   `json:"name"`    // the name of the record that it is about
	Text    string   `json:"text"`    // one sentence or two, printable ASCII
	Publish []Record `json:"publish"` // instead of the record, or in addition; [] if only the owner can know
}

// Record is one to publish.
type Record struct {
	Name string `json:"name"` // absolute, without the last dot
	Type string `json:"type"` // "TXT" or "MX"
	Data string `json:"data"` // of a TXT: the whole text, unquoted, printable ASCII, to be divided into strings of at most 255 bytes
}

// Code names a kind of finding. Its area is what stands before the "_".
type Code string

// The closed set of codes.
const (
	SPFMissing        Code = "spf_missing"         // no record
	SPFUnanswered     Code = "spf_unanswered"      // the DNS did not answer for it
	SPFNotARecord     Code = "spf_not_a_record"    // a text that was meant to be one is the only one
	SPFStray          Code = "spf_stray"           // such a text beside the record
	SPFSeveral        Code = "spf_several"         // more than one
	SPFSyntax         Code = "spf_syntax"          // a term or the record cannot be read
	SPFLookups        Code = "spf_lookups"         // more than ten terms need the DNS
	SPFLookupsNear    Code = "spf_lookups_near"    // nine or ten do
	SPFVoids          Code = "spf_voids"           // more than two lookups find nothing
	SPFMXHosts        Code = "spf_mx_hosts"        // an mx term with more than ten hosts
	SPFIncludeMissing Code = "spf_include_missing" // include or redirect leads to no record
	SPFIncludeBroken  Code = "spf_include_broken"  // or to one that cannot be used
	SPFLoop           Code = "spf_loop"            // or to one that was on the way
	SPFEveryone       Code = "spf_everyone"        // everybody passes
	SPFNeutral        Code = "spf_neutral"         // ?all
	SPFNoEnd          Code = "spf_no_end"          // neither all nor redirect
	SPFWide           Code = "spf_wide"            // a network wider than an IPv4 /16 or an IPv6 /32
	SPFPTR            Code = "spf_ptr"             // a ptr term
	SPFTargetVoid     Code = "spf_target_void"     // a, mx or exists that leads to nothing
	SPFModifier       Code = "spf_modifier"        // a mechanism written with "=" and so ignored
	SPFUnreached      Code = "spf_unreached"       // a term that all overrules
	SPFDuplicateTerm  Code = "spf_duplicate_term"  // a term that stands twice
	SPFLength         Code = "spf_length"          // a record of more than 450 bytes
	SPFAnswerSize     Code = "spf_answer_size"     // all TXT records together do not fit into UDP
	SPFType           Code = "spf_type"            // a record of the obsolete type SPF
	SPFSilent         Code = "spf_silent"          // sends no mail but lets somebody send
	SPFUnresolved     Code = "spf_unresolved"      // the DNS did not answer for what the record names
	SPFOK             Code = "spf_ok"

	DKIMMissing     Code = "dkim_missing"      // no key at any of the usual selectors
	DKIMNoKey       Code = "dkim_no_key"       // none at a given selector
	DKIMMalformed   Code = "dkim_malformed"    // a record under which no signature passes
	DKIMShort       Code = "dkim_short"        // RSA below 1024 bits
	DKIM1024        Code = "dkim_1024"         // RSA below 2048 bits
	DKIMLong        Code = "dkim_long"         // RSA above 4096 bits
	DKIMRevoked     Code = "dkim_revoked"      // empty p=
	DKIMTesting     Code = "dkim_testing"      // t=y
	DKIMSeveral     Code = "dkim_several"      // more than one key at a selector
	DKIMEd25519Only Code = "dkim_ed25519_only" // no RSA key
	DKIMUnanswered  Code = "dkim_unanswered"   // the DNS did not answer
	DKIMOK          Code = "dkim_ok"

	DMARCMissing      Code = "dmarc_missing"      // no record is in force, or only a registry's
	DMARCUnanswered   Code = "dmarc_unanswered"   // the DNS did not answer
	DMARCNotARecord   Code = "dmarc_not_a_record" // a text that was meant to be one
	DMARCSeveral      Code = "dmarc_several"      // more than one
	DMARCNoPolicy     Code = "dmarc_no_policy"    // p, sp or np is not valid
	DMARCInvalid      Code = "dmarc_invalid"      // another tag is not
	DMARCObsolete     Code = "dmarc_obsolete"     // a tag of RFC 7489
	DMARCUnknown      Code = "dmarc_unknown"      // a tag of nobody's
	DMARCDuplicate    Code = "dmarc_duplicate"    // a tag that stands twice
	DMARCUnsupported  Code = "dmarc_unsupported"  // a report URI that is not mailto
	DMARCSpelling     Code = "dmarc_spelling"     // not everybody reads it so
	DMARCNone         Code = "dmarc_none"         // the policy in force is none
	DMARCTesting      Code = "dmarc_testing"      // t=y
	DMARCSubdomains   Code = "dmarc_subdomains"   // sp or np milder than p
	DMARCPSD          Code = "dmarc_psd"          // psd=y
	DMARCNoReports    Code = "dmarc_no_reports"   // no rua
	DMARCUnauthorized Code = "dmarc_unauthorized" // a destination elsewhere that did not agree
	DMARCUnreachable  Code = "dmarc_unreachable"  // a destination that takes no mail
	DMARCUnresolved   Code = "dmarc_unresolved"   // the DNS did not answer for a destination
	DMARCSilent       Code = "dmarc_silent"       // sends no mail but does not reject
	DMARCOK           Code = "dmarc_ok"

	MXNoDomain   Code = "mx_no_domain"   // the name does not exist
	MXUnanswered Code = "mx_unanswered"  // the DNS did not answer
	MXUnusable   Code = "mx_unusable"    // records that cannot be used
	MXImplicit   Code = "mx_implicit"    // no MX, but an address
	MXNothing    Code = "mx_nothing"     // neither
	MXNullOthers Code = "mx_null_others" // a null MX beside others
	MXAllVoid    Code = "mx_all_void"    // no host has an address
	MXTargetVoid Code = "mx_target_void" // one has none
	MXAlias      Code = "mx_alias"       // one is a CNAME
	MXPrivate    Code = "mx_private"     // one has an address that the internet cannot reach
	MXUnresolved Code = "mx_unresolved"  // the DNS did not answer for one
	MXOK         Code = "mx_ok"          // mail is taken
	MXNull       Code = "mx_null"        // and that it is not, is said well
	AuditLimit   Code = "audit_limit"    // not everything was looked at
	AuditLeftOut Code = "audit_left_out" // more findings of a kind than are listed
)

// Rank of all findings of the code.
func (c Code) Rank() Rank {
	switch c {
	case SPFUnanswered, SPFNotARecord, SPFSeveral, SPFSyntax, SPFLookups, SPFVoids, SPFMXHosts, SPFIncludeMissing,
		SPFIncludeBroken, SPFLoop, SPFEveryone,
		DKIMNoKey, DKIMMalformed, DKIMShort,
		DMARCUnanswered, DMARCNotARecord, DMARCSeveral, DMARCNoPolicy,
		MXNoDomain, MXUnanswered, MXUnusable, MXNullOthers, MXAllVoid:
		return Broken
	case SPFMissing, SPFNeutral, SPFNoEnd, SPFWide, SPFPTR, SPFTargetVoid, SPFModifier, SPFUnreached, SPFAnswerSize, SPFSilent, SPFUnresolved,
		DKIMLong, DKIMTesting, DKIMSeveral, DKIMUnanswered,
		DMARCMissing, DMARCInvalid, DMARCDuplicate, DMARCUnsupported, DMARCSpelling, DMARCSubdomains,
		DMARCUnauthorized, DMARCUnreachable, DMARCUnresolved, DMARCSilent,
		MXTargetVoid, MXAlias, MXPrivate, MXUnresolved,
		AuditLimit:
		return Weak
	case SPFOK, DKIMOK, DMARCOK, MXOK, MXNull:
		return Fine
	}
	return Advice
}

// Area is what the code is about.
func (c Code) Area() string {
	area, _, _ := strings.Cut(string(c), "_")
	return area
}

// maxOfCode bounds the findings of one kind.
const maxOfCode = 10

// add notes a finding. Records to publish are dropped if they could not be
// written down.
func (a *auditor) add(c Code, name, text string, publish ...Record) {
	if a.found(c, visible(name), text) {
		return // the same record was reached twice
	}
	n := 0
	for _, f := range a.report.Findings {
		if f.Code == c {
			n++
		}
	}
	if n == maxOfCode {
		c, name, text, publish = AuditLeftOut, a.domain, "There are more findings like \""+string(c)+"\" than are listed.", nil
		if a.found(AuditLeftOut, name, text) {
			return
		}
	}
	f := Finding{Rank: c.Rank(), Area: c.Area(), Code: c, Name: visible(name), Text: text, Publish: []Record{}}
	for _, r := range publish {
		if r.Data != "" && isPrintable(r.Name) && isPrintable(r.Data) {
			f.Publish = append(f.Publish, r)
		}
	}
	a.report.Findings = append(a.report.Findings, f)
}

func (a *auditor) found(c Code, name, text string) bool {
	return slices.ContainsFunc(a.report.Findings, func(f Finding) bool { return f.Code == c && f.Name == name && f.Text == text })
}

// clean: nothing was found in the area so far.
func (a *auditor) clean(area string) bool {
	return !slices.ContainsFunc(a.report.Findings, func(f Finding) bool { return f.Area == area })
}

// settle puts the worst first.
func (a *auditor) settle() {
	a.agree()
	areas := []string{"mx", "spf", "dkim", "dmarc", "audit"}
	slices.SortStableFunc(a.report.Findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Rank.order(), y.Rank.order()), cmp.Compare(slices.Index(areas, x.Area), slices.Index(areas, y.Area)),
			cmp.Compare(x.Code.order(), y.Code.order()))
	})
	a.report.Rank = Fine
	if len(a.report.Findings) > 0 {
		a.report.Rank = a.report.Findings[0].Rank
	}
}

// order: what makes a record of no effect comes before what is in it.
func (c Code) order() int {
	if c == SPFSeveral || c == SPFNotARecord {
		return 0
	}
	return 1
}

func txt(name, data string) Record { return Record{name, "TXT", data} }
