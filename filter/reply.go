package filter

import (
	"strings"

	"sekimori/filter/dkim"
	"sekimori/filter/mail"
	"sekimori/filter/spf"
)

// text is what we say for one reason: to people (explanation) and to the
// refused client (code, enhanced code of RFC 3463 and 7372, reply).
type text struct {
	code        int
	enhanced    string
	explanation string
	reply       string
}

const (
	mendSender   = "The sending software must be mended."
	oneFrom      = "Send exactly one From field with one address (RFC 5322 section 3.6.2)."
	ownersRemedy = "If you may write in its name, ask its owner to list you here, or send through its own servers."
	authorise    = "Admin of {domain}: {advice}."
)

// textOf gives the words for a reason. {name} stands for a fact, see facts.
func textOf(r Reason) text {
	switch r {
	case BareNewline:
		return text{550, "5.6.11", "The message has a CR or LF that stands alone, which servers read in different ways.",
			"The message has a bare CR or LF; lines must end in CR LF (RFC 5321 section 2.3.8).\n" + mendSender}
	case TrustedNetwork:
		return text{explanation: "The client {client} is in a trusted network: nothing is enforced."}
	case MalformedHeader:
		return text{550, "5.6.0", "The header is not one of RFC 5322: {fault}.",
			"The message header is malformed: {fault} (RFC 5322 section 2.2).\n" + mendSender}
	case AuthorMissing:
		return text{550, "5.6.0", "The message names no author domain: {fault}.",
			"The message names no author domain: {fault}.\n" + oneFrom}
	case AuthorMalformed:
		return text{550, "5.6.0", "The author cannot be told for certain: {fault}.",
			"The author cannot be told for certain: {fault}.\n" + oneFrom}
	case AuthorMultiple:
		return text{550, "5.6.0", "From names several domains ({domains}), so DMARC can speak for none.",
			"From names several domains ({domains}); DMARC needs exactly one (RFC 9989 section 5.3.1).\n" + oneFrom}
	case Blocked:
		return text{550, "5.7.1", "A list of the recipient's blocks the sender: {entry}.",
			"The recipient does not take mail of this sender."}
	case ProtectedAuthor:
		return text{550, "5.7.26", "From has {named}, which is protected here, and nothing proves it: SPF {spf}; DKIM {dkim}.",
			"Refused as a forgery: From has {named}, whose mail is taken here only with proof (DMARC, SPF or DKIM of that domain): SPF {spf}; DKIM {dkim}.\n" + ownersRemedy}
	case ProtectedName:
		return text{550, "5.7.26", "The display name in From has an address of {named}, which is protected here, and nothing proves that the message is of it: SPF {spf}; DKIM {dkim}.",
			"Refused as a forgery: the display name in From has an address of {named}, whose mail is taken here only with proof (DMARC, SPF or DKIM of that domain).\n" + ownersRemedy}
	case ProtectedSender:
		return text{550, "5.7.26", "MAIL FROM has {named}, which is protected here, and nothing proves it: SPF {spf}; DKIM {dkim}.",
			"Refused as a forgery: MAIL FROM has {named}, whose mail is taken here only with proof (SPF, or DKIM of that domain): SPF {spf}; DKIM {dkim}.\n" + ownersRemedy}
	case ListedSender:
		return text{explanation: "{named} is protected here, and its owner lists the sender: {entry}."}
	case Allowed:
		return text{explanation: "A list of the recipient's lets the sender through: {entry}."}
	case AllowedUnsafe:
		return text{explanation: "A list of the recipient's lets the sender through without any proof, as anybody can be: {entry}."}
	case SenderMissing:
		return text{550, "5.1.8", "The domain of MAIL FROM, {mailfrom}, does not exist.",
			"The domain of your MAIL FROM, {mailfrom}, does not exist in the DNS, so nobody could be told of trouble with this message.\n" + mendSender}
	case SenderNullMX:
		return text{550, "5.7.27", "The domain of MAIL FROM, {mailfrom}, takes no mail: its MX is null.",
			"The domain of your MAIL FROM, {mailfrom}, takes no mail (null MX, RFC 7505), so nobody could be told of trouble with this message."}
	case NoReverseName:
		return text{550, "5.7.25", "The client {client} has no name in the DNS that points back to it: {iprev}.",
			"Your address {client} has no name in the DNS that points back to it: {iprev}.\nAdmin of {client}: publish a PTR record, and an address record of that name."}
	case Unauthenticated:
		return text{550, "5.7.26", "Nothing authenticates the message: SPF {spf}; DKIM {dkim}; {domain} has no DMARC record.",
			"Nothing authenticates this message: SPF {spf}; DKIM {dkim}; {domain} has no DMARC record.\nAdmin of {domain}: publish SPF and DMARC records and sign with DKIM."}
	case DMARCPass:
		return text{explanation: "{domain} authenticates the message: {by}."}
	case DMARCFailReject:
		return text{550, "5.7.26", "{owner} asks to reject what fails DMARC, and nobody vouches for the message: SPF {spf}; DKIM {dkim}.",
			"Refused by the DMARC policy (p={policy}) of {owner}: SPF {spf}; DKIM {dkim}; nothing authenticates this message.\n" + authorise}
	case DMARCFailOther:
		return text{550, "5.7.26", "{owner} asks to reject what fails DMARC, but {other}: SPF {spf}; DKIM {dkim}.",
			"Refused by the DMARC policy (p={policy}) of {owner}: SPF {spf}; DKIM {dkim}; none of these is aligned with {domain}.\n" + authorise}
	case DMARCFailQuarantine:
		return text{550, "5.7.26", "{owner} asks to quarantine what fails DMARC: SPF {spf}; DKIM {dkim}.",
			"Fails the DMARC policy (p={policy}) of {owner}: SPF {spf}; DKIM {dkim}.\n" + authorise}
	case DMARCFailNone:
		return text{explanation: "The message fails DMARC, but {owner} asks for nothing to be done: SPF {spf}; DKIM {dkim}."}
	case SPFFail:
		return text{550, "5.7.23", "{sender} does not allow {client} in its SPF record, no DKIM signature passes, and {domain} has no DMARC record.",
			"SPF of {sender} does not allow {client}, and no DKIM signature passes.\nAdmin of {sender}: allow {client} in the SPF record, or sign with DKIM."}
	case DNSTempError:
		return text{451, "4.7.0", "The DNS did not answer what would have decided: {trouble}.",
			"The DNS of {domain} or {sender} does not answer, so the message cannot be checked now: {trouble}.\nIt is welcome later."}
	case DMARCNone:
		return text{explanation: "{domain} has no DMARC record, and nothing speaks against the message: SPF {spf}; DKIM {dkim}."}
	}
	return text{451, "4.3.0", "Sekimori failed to judge the message; the sender will try again.", "Internal error, please try again later"}
}

// DefaultReplies gives the reply texts for which an operator can set his own,
// by reason. The names of factNames in braces stand for facts.
func DefaultReplies() map[Reason]string {
	all := map[Reason]string{}
	for _, r := range Reasons() {
		if t := textOf(r); t.reply != "" {
			all[r] = t.reply
		}
	}
	return all
}

// reply is what the client is told; the MTA's own words stand in for ours
// wherever it gets the message.
func (p *Policy) reply(a Action, reason Reason, m *mail.Message, r Results) Reply {
	if a.Delivers() {
		return Reply{Code: 250, Enhanced: "2.0.0"}
	}
	t := textOf(reason)
	t.reply = p.wordsFor(reason, m.Envelope.SMTPUTF8)
	if a == Defer && t.code/100 != 4 {
		t.code, t.enhanced = 451, "4.7.0"
	}
	body := p.fill(t.reply, m, r)
	if reason == SPFFail {
		body += p.strangersWords(r.SPF.MailFrom)
	}
	if !strings.Contains(t.reply, "{id}") {
		body += p.reference(m)
	}
	if !isASCII(t.reply) {
		return Reply{Code: t.code, Enhanced: t.enhanced, Text: cleanUTF8(body, maxReply)}
	}
	return Reply{Code: t.code, Enhanced: t.enhanced, Text: clean(body, maxReply)}
}

// strangersWords are marked as such (RFC 7208 section 6.2).
func (p *Policy) strangersWords(r spf.Result) string {
	if !p.Explain || r.Explanation == "" {
		return ""
	}
	return "\n" + r.Domain + " explains: " + shorten(r.Explanation, 200)
}

// maxReply bounds a reply in bytes: three lines of RFC 5321 section 4.5.3.1.5.
const maxReply = 1200

func (p *Policy) reference(m *mail.Message) string {
	s := ""
	if m.Envelope.ID != "" {
		s = " [" + m.Envelope.ID + "]"
	}
	if p.HelpURL != "" {
		return "\nHelp: " + p.HelpURL + s
	}
	return s
}

// setting is the key of the configuration that a reason hangs on; "" where there
// is none.
func setting(r Reason) string {
	switch r {
	case TrustedNetwork:
		return "trusted_networks"
	case MalformedHeader:
		return "policy.malformed_header"
	case AuthorMissing, AuthorMalformed, AuthorMultiple:
		return "policy.author"
	case DMARCFailReject, DMARCFailOther:
		return "policy.dmarc.reject"
	case DMARCFailQuarantine:
		return "policy.dmarc.quarantine"
	case Blocked:
		return "policy.block"
	case ProtectedAuthor, ProtectedName, ProtectedSender:
		return "policy.spoof"
	case SenderMissing:
		return "policy.sender.missing"
	case SenderNullMX:
		return "policy.sender.null_mx"
	case NoReverseName:
		return "policy.iprev.fail"
	case Unauthenticated:
		return "policy.unauthenticated"
	case SPFFail:
		return "policy.spf.fail"
	case DNSTempError:
		return "policy.dmarc.temperror"
	}
	return ""
}

func explain(reason Reason, m *mail.Message, r Results) string {
	return clean((&Policy{}).fill(textOf(reason).explanation, m, r), maxReply)
}

// fill puts facts in the place of their names in braces: only those that the text
// speaks of are worked out. Each is ours or checked; clean sees to the rest.
func (p *Policy) fill(text string, m *mail.Message, r Results) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "{")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		name, rest, closed := strings.Cut(after, "}")
		fact, known := p.fact(name, m, r)
		if !closed || !known {
			b.WriteByte('{')
			text = after
			continue
		}
		b.WriteString(fact)
		text = rest
	}
}

// fact is what a name stands for; factNames lists them.
func (p *Policy) fact(name string, m *mail.Message, r Results) (fact string, known bool) {
	switch name {
	case "client":
		return orElse(address(r.sender(m.Envelope)), "the client"), true
	case "domain":
		return orElse(r.Author.Domain, "the author's domain"), true
	case "domains":
		return shorten(strings.Join(r.Author.Domains, ", "), 200), true
	case "sender":
		return orElse(r.SPF.MailFrom.Domain, "the sender"), true
	case "mailfrom":
		return orElse(mailFromDomain(m.Envelope), "the sender"), true
	case "named":
		return named(r.Claims), true
	case "policy":
		return string(r.DMARC.Effective), true
	case "owner":
		return owner(r), true
	case "advice":
		return advice(m, r), true
	case "id":
		return m.Envelope.ID, true
	case "help":
		return p.HelpURL, true
	}
	return finding(name, m, r)
}

// finding is a fact about what the checks found.
func finding(name string, m *mail.Message, r Results) (fact string, known bool) {
	switch name {
	case "spf":
		return spfWords(r), true
	case "dkim":
		return dkimWords(r), true
	case "iprev":
		return orElse(r.IPRev.Reason, "it is not known"), true
	case "by":
		return passWords(r), true
	case "other":
		return otherWords(r), true
	case "entry":
		return entryWords(r), true
	case "fault":
		return faultWords(m, r), true
	case "trouble":
		return troubleWords(r), true
	}
	return "", false
}

// owner is the domain whose policy holds, and for whom if that is another.
func owner(r Results) string {
	d := r.DMARC
	if d.PolicyDomain == "" || d.PolicyDomain == d.AuthorDomain {
		return orElse(r.Author.Domain, "the author's domain")
	}
	return d.PolicyDomain + " (for " + d.AuthorDomain + ")"
}

// advice is what the author's domain can do for mail that is its own. The SPF
// record of MAIL FROM helps only where that domain is aligned already.
func advice(m *mail.Message, r Results) string {
	author, sender := orElse(r.Author.Domain, "your domain"), r.SPF.MailFrom.Domain
	sign := ", or sign it with DKIM as " + author
	if sender == author || below(sender, r.DMARC.OrganizationalDomain) {
		return "if this is your mail, allow " + orElse(address(r.sender(m.Envelope)), "its client") + " in the SPF record of " + sender + sign
	}
	return "if this is your mail, send it with a MAIL FROM of " + author + " from a host that its SPF record allows" + sign
}

func below(name, domain string) bool {
	return domain != "" && (name == domain || strings.HasSuffix(name, "."+domain))
}

func mailFromDomain(e mail.Envelope) string {
	_, domain, _ := splitRecipient(e.MailFrom)
	return domain
}

// named is the protected name that a message comes in, and what it is below.
func named(all []Claim) string {
	c, short := shortest(all)
	if !short && len(all) > 0 {
		c = all[0]
	}
	if c.Domain == c.Protected {
		return orElse(c.Domain, "a domain")
	}
	return c.Domain + " (of " + c.Protected + ")"
}

// entryWords name the entry of a list that counts, and the list.
func entryWords(r Results) string {
	l, ok := listedAuthor(r.Claims)
	if r.Listed != nil {
		l, ok = *r.Listed, true
	}
	if !ok {
		return "none"
	}
	return l.String()
}

func spfWords(r Results) string {
	s := string(r.SPF.MailFrom.Word)
	if d := r.SPF.MailFrom.Domain; d != "" {
		s += " for " + d
	}
	if r.Hop.Reason != "" {
		s += " (behind a relay)"
	}
	return orElse(s, "none")
}

func otherWords(r Results) string {
	if vouched(r) == somebody {
		return "another domain vouches for the message"
	}
	return "whether another domain vouches for the message cannot be told"
}

// dkimWords names at most three signatures.
func dkimWords(r Results) string {
	var words []string
	for i, d := range r.DKIM {
		if i == 3 {
			words = append(words, "...")
			break
		}
		w := string(d.Word)
		if d.Domain != "" {
			w += " for " + d.Domain
		}
		words = append(words, w)
	}
	return orElse(strings.Join(words, ", "), "none")
}

func passWords(r Results) string {
	if r.DMARC.SPFAligned {
		return "SPF " + spfWords(r)
	}
	for i, d := range r.DKIM {
		if d.Word == dkim.Pass && i < len(r.DMARC.DKIMAligned) && r.DMARC.DKIMAligned[i] {
			return "DKIM pass for " + d.Domain
		}
	}
	return "DMARC pass"
}

func faultWords(m *mail.Message, r Results) string {
	switch {
	case m.Has(mail.HeaderNUL):
		return "it has control characters"
	case m.Has(mail.HeaderLine) && r.Author.Status != mail.AuthorMalformed:
		return "a line of it is no header field"
	}
	return orElse(r.Author.Reason, "it does not parse")
}

func troubleWords(r Results) string {
	switch {
	case r.DMARC.Word == "temperror":
		return orElse(r.DMARC.Reason, "DMARC record not found out")
	case r.SPF.MailFrom.Word == "temperror":
		return orElse(r.SPF.MailFrom.Reason, "SPF record not found out")
	}
	for _, d := range r.DKIM {
		if d.Word == dkim.TempError {
			return orElse(d.Reason, "DKIM key not found out")
		}
	}
	return "no answer"
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func shorten(s string, n int) string {
	if len(s) > n {
		return s[:n-3] + "..."
	}
	return s
}

// clean keeps printable ASCII and line feeds, and cuts lines where RFC 5321
// section 4.5.3.1.5 would: nothing from the wire can shape a reply.
func clean(s string, n int) string {
	b := make([]byte, 0, min(len(s), n))
	line := 0
	for i := 0; i < len(s) && len(b) < n; i++ {
		switch c := s[i]; {
		case c == '\n':
			line = 0
			b = append(b, c)
		case c < ' ' || c > '~' || line >= maxReplyLine:
		default:
			line++
			b = append(b, c)
		}
	}
	return string(b)
}

// maxReplyLine leaves room for the code and the enhanced code in 512 octets.
const maxReplyLine = 480
