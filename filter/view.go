package filter

import (
	"encoding/json"
	"net/netip"
	"strings"
	"time"

	"sekimori/filter/dns"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// View is a judged message as `sekimori check --json` prints it: an interface
// for scripts, whose field names stay. Absent facts are "", [] or 0, never missing.
type View struct {
	Envelope      EnvelopeView `json:"envelope"`
	Author        AuthorView   `json:"author"`
	Relay         RelayView    `json:"relay"`
	IPRev         IPRevView    `json:"iprev"`
	SPF           SPFView      `json:"spf"`
	DKIM          []DKIMView   `json:"dkim"`
	ARC           ARCView      `json:"arc"`
	DMARC         DMARCView    `json:"dmarc"`
	Impersonation []string     `json:"impersonation"`
	Claims        []ClaimView  `json:"claims"` // protected domains in whose name the message comes
	Sender        SenderView   `json:"sender"`
	Defects       []string     `json:"defects"`
	Verdict       VerdictView  `json:"verdict"`
	Edit          EditView     `json:"edit"`
	DNS           DNSView      `json:"dns"`
}

// EnvelopeView is View's envelope.
type EnvelopeView struct {
	ClientIP string   `json:"client_ip"`
	Helo     string   `json:"helo"`
	MailFrom string   `json:"mail_from"`
	RcptTo   []string `json:"rcpt_to"`
}

// AuthorView is View's author.
type AuthorView struct {
	Status  string   `json:"status"`
	Domain  string   `json:"domain"`
	Domains []string `json:"domains"`
	Reason  string   `json:"reason"`
}

// RelayView is the hop before a trusted relay: whom SPF and iprev are about.
type RelayView struct {
	Behind   string `json:"behind"`    // the relay; "" where the client is none
	ClientIP string `json:"client_ip"` // "" where it cannot be told
	Helo     string `json:"helo"`
	Reason   string `json:"reason"` // why it cannot be told
}

// IPRevView is View's reverse name.
type IPRevView struct {
	Result string `json:"result"`
	Name   string `json:"name"`
	Reason string `json:"reason"`
}

// SPFView holds both identities of SPF.
type SPFView struct {
	Helo     SPFIdentityView `json:"helo"`
	MailFrom SPFIdentityView `json:"mailfrom"`
}

// SPFIdentityView is one of them.
type SPFIdentityView struct {
	Result      string `json:"result"`
	Domain      string `json:"domain"`
	Mechanism   string `json:"mechanism"`
	Reason      string `json:"reason"`
	Lookups     int    `json:"lookups"` // of the record itself, and one for each term that counts against the ten
	Explanation string `json:"explanation"`
}

// DKIMView is one signature.
type DKIMView struct {
	Result     string `json:"result"`
	Domain     string `json:"domain"`
	Selector   string `json:"selector"`
	Algorithm  string `json:"algorithm"`
	KeyBits    int    `json:"key_bits"`
	Identifier string `json:"identifier"`
	B          string `json:"b"`
	Aligned    bool   `json:"aligned"`
	Testing    bool   `json:"testing"`
	Reason     string `json:"reason"`
}

// ARCView stands until ARC is evaluated.
type ARCView struct {
	Result     string   `json:"result"`
	Instances  int      `json:"instances"`
	Sealers    []string `json:"sealers"`
	OldestPass int      `json:"oldest_pass"`
	Reason     string   `json:"reason"`
}

// DMARCView is View's DMARC.
type DMARCView struct {
	Result               string   `json:"result"`
	AuthorDomain         string   `json:"author_domain"`
	OrganizationalDomain string   `json:"organizational_domain"`
	PolicyDomain         string   `json:"policy_domain"`
	Record               string   `json:"record"`
	Policy               string   `json:"policy"`
	EffectivePolicy      string   `json:"effective_policy"`
	SPFAligned           bool     `json:"spf_aligned"`
	DKIMAligned          bool     `json:"dkim_aligned"`
	Testing              bool     `json:"testing"`
	Reason               string   `json:"reason"`
	Queries              []string `json:"queries"`
}

// ClaimView is a protected domain in whose name a message comes.
type ClaimView struct {
	Place     string `json:"place"` // the reason that it would be refused for
	Domain    string `json:"domain"`
	Protected string `json:"protected"`
	Customer  string `json:"customer"`
	Proof     string `json:"proof"` // "passed", "listed", "unknown", "hidden", or "" for none
	Entry     string `json:"entry"` // that lists the sender
}

// SenderView is the domain of MAIL FROM in the DNS; "" where it was not looked up.
type SenderView struct {
	Domain string `json:"domain"`
	Result string `json:"result"` // "exists", "nxdomain", "null_mx"
}

// ListingView is the entry of a list that decided; all "" if none did.
type ListingView struct {
	List    string `json:"list"`
	Entry   string `json:"entry"`
	Expires string `json:"expires"` // RFC 3339
	Author  string `json:"author"`
	Note    string `json:"note"`
}

// VerdictView is the decision.
type VerdictView struct {
	Action      string    `json:"action"`
	Reason      string    `json:"reason"`
	Shadow      bool      `json:"shadow"`
	Tenants     []string  `json:"tenants"` // by whose rules; none: by those of everybody else
	Setting     string    `json:"setting"` // key of the configuration that decides such mail, "" if none does
	Explanation string    `json:"explanation"`
	Reply       ReplyView `json:"reply"`

	Protected string      `json:"protected"` // the protected domain in whose name the message comes, whatever the verdict
	Listing   ListingView `json:"listing"`
}

// ReplyView is an SMTP reply.
type ReplyView struct {
	Code     int    `json:"code"`
	Enhanced string `json:"enhanced"`
	Text     string `json:"text"`
}

// EditView shows the fields themselves, unfolded, without line ends.
type EditView struct {
	Drop    []string `json:"drop"`
	Prepend []string `json:"prepend"`
}

// DNSView sums up the lookups: different questions, and the seconds that they took together.
type DNSView struct {
	Queries int     `json:"queries"`
	Seconds float64 `json:"seconds"`
}

// NewView tells of a judged message.
func NewView(m *mail.Message, v Verdict) View {
	view := newView(m.Envelope, v)
	view.Defects = defects(m)
	view.Edit = newEditView(m, v.Edit)
	return view
}

// View tells of a message that is gone: its defects and the fields that were
// dropped are no longer known. Without a verdict there is little to tell.
func (r Record) View() View {
	view := newView(r.Envelope, r.Verdict)
	for _, f := range r.Verdict.Edit.Prepend {
		view.Edit.Prepend = append(view.Edit.Prepend, unfolded([]byte(f)))
	}
	return view
}

func newView(e mail.Envelope, v Verdict) View {
	r := v.Results
	return View{
		Envelope:      EnvelopeView{address(e.Client), e.Helo, e.MailFrom, list(e.Rcpts)},
		Author:        AuthorView{string(r.Author.Status), r.Author.Domain, list(r.Author.Domains), r.Author.Reason},
		Relay:         RelayView{address(r.Hop.Behind), address(r.Hop.Client), r.Hop.Helo, r.Hop.Reason},
		IPRev:         IPRevView{orElse(string(r.IPRev.Word), "none"), r.IPRev.Name, r.IPRev.Reason},
		SPF:           newSPFView(r),
		DKIM:          newDKIMView(r),
		ARC:           ARCView{Result: "none", Sealers: []string{}},
		DMARC:         newDMARCView(r),
		Impersonation: []string{},
		Claims:        newClaimViews(r.Claims),
		Sender:        SenderView{mailFromDomain(e), string(r.Sender)},
		Defects:       []string{},
		Verdict: VerdictView{v.Action.String(), string(v.Reason), v.Shadow, list(v.Tenants), setting(v.Reason), v.Explanation,
			ReplyView{v.Reply.Code, v.Reply.Enhanced, v.Reply.Text}, v.Protected, newListingView(v.Listing)},
		Edit: EditView{Drop: []string{}, Prepend: []string{}},
		DNS:  DNSView{dns.Questions(r.DNS), dns.Elapsed(r.DNS).Seconds()},
	}
}

func newClaimViews(claims []Claim) []ClaimView {
	all := []ClaimView{}
	for _, c := range claims {
		entry := ""
		if c.Proof == ProofListed {
			entry = c.Listing.String()
		}
		all = append(all, ClaimView{string(c.Place), c.Domain, c.Protected, c.Customer, string(c.Proof), entry})
	}
	return all
}

func newListingView(l *Listing) ListingView {
	if l == nil {
		return ListingView{}
	}
	v := ListingView{List: l.List, Entry: l.Entry.String(), Author: l.Entry.Author, Note: l.Entry.Note}
	if !l.Entry.Expires.IsZero() {
		v.Expires = l.Entry.Expires.Format(time.RFC3339)
	}
	return v
}

// JSON is the view as one indented object.
func (v View) JSON() ([]byte, error) { return json.MarshalIndent(v, "", "  ") }

func list(s []string) []string { return append([]string{}, s...) }

func defects(m *mail.Message) []string {
	all := []string{}
	for _, d := range m.Defects {
		all = append(all, string(d))
	}
	return all
}

func address(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func newSPFView(r Results) SPFView {
	helo, from := r.SPF.Helo, r.SPF.MailFrom
	return SPFView{
		Helo:     newSPFIdentityView(helo),
		MailFrom: newSPFIdentityView(from),
	}
}

func newSPFIdentityView(r spf.Result) SPFIdentityView {
	v := SPFIdentityView{orElse(string(r.Word), "none"), r.Domain, r.Mechanism, r.Reason, r.Lookups, r.Explanation}
	if r.Domain != "" {
		v.Lookups++
	}
	return v
}

func newDKIMView(r Results) []DKIMView {
	all := []DKIMView{}
	for i, d := range r.DKIM {
		aligned := i < len(r.DMARC.DKIMAligned) && r.DMARC.DKIMAligned[i]
		all = append(all, DKIMView{string(d.Word), d.Domain, d.Selector, d.Algorithm, d.KeyBits, d.Identifier, d.B, aligned, d.Testing, d.Reason})
	}
	return all
}

func newDMARCView(r Results) DMARCView {
	d := r.DMARC
	view := DMARCView{orElse(string(d.Word), "none"), d.AuthorDomain, d.OrganizationalDomain, d.PolicyDomain, d.Record,
		string(d.Policy), string(d.Effective), d.SPFAligned, false, d.Testing, d.Reason, list(d.Queries)}
	for i, aligned := range d.DKIMAligned {
		view.DKIMAligned = view.DKIMAligned || aligned && i < len(r.DKIM) && r.DKIM[i].Word == "pass"
	}
	return view
}

func newEditView(m *mail.Message, e Edit) EditView {
	view := EditView{Drop: []string{}, Prepend: []string{}}
	for _, i := range e.Drop {
		view.Drop = append(view.Drop, unfolded(m.Header.Fields[i].Raw))
	}
	for _, f := range e.Prepend {
		view.Prepend = append(view.Prepend, unfolded([]byte(f)))
	}
	return view
}

func unfolded(field []byte) string { return strings.TrimSpace(string(mail.Unfold(field))) }
