package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-msgauth/dkim"
	"github.com/pelletier/go-toml/v2"

	"sekimori/config"
	"sekimori/filter/dns"
	"sekimori/filter/mail"
)

// scene is one [[case]] of an operator's table: who writes to whom, with which
// papers, and what should become of it.
type scene struct {
	Name   string    `toml:"name"`
	To     any       `toml:"to"` // an address or several
	Client string    `toml:"client"`
	Helo   string    `toml:"helo"`
	From   *string   `toml:"mail_from"`
	Time   time.Time `toml:"time"`

	Author       string   `toml:"author"`
	DisplayName  string   `toml:"display_name"`
	SPF          string   `toml:"spf"`
	DKIM         []string `toml:"dkim"`
	DMARC        string   `toml:"dmarc"`
	ReverseName  *bool    `toml:"reverse_name"`
	SenderDomain string   `toml:"sender_domain"`

	Message string `toml:"message"`
	Zone    string `toml:"zone"`

	Action string `toml:"action"`
	Reason string `toml:"reason"`
	Shadow *bool  `toml:"shadow"`
	Reply  string `toml:"reply"`

	rcpts []string // of To
}

const maxSceneFile = 16 << 20 // bytes

// loadScenes reads a table; an error names the place.
func loadScenes(file string) ([]scene, error) {
	data, err := readLimited(file, maxSceneFile)
	if err != nil {
		return nil, err
	}
	var table struct {
		Cases []scene `toml:"case"`
	}
	d := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields()
	if err := d.Decode(&table); err != nil {
		return nil, tomlFault(file, err)
	}
	if len(table.Cases) == 0 {
		return nil, fmt.Errorf("%s: no [[case]]", file)
	}
	seen := map[string]bool{}
	for i := range table.Cases {
		s := &table.Cases[i]
		err := s.check()
		if err == nil && seen[s.Name] {
			err = errors.New("the name is taken by an earlier case")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: case %d %q: %w", file, i+1, s.Name, err)
		}
		seen[s.Name] = true
	}
	return table.Cases, nil
}

func readLimited(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is larger than %s", file, octets(limit))
	}
	return data, err
}

// tomlFault gives the library's errors the form FILE:LINE: words.
func tomlFault(file string, err error) error {
	var unknown *toml.StrictMissingError
	var syntax *toml.DecodeError
	switch {
	case errors.As(err, &unknown):
		var all []error
		for i := range unknown.Errors {
			line, _ := unknown.Errors[i].Position()
			all = append(all, fmt.Errorf("%s:%d: unknown key %s", file, line, strings.Join(unknown.Errors[i].Key(), ".")))
		}
		return errors.Join(all...)
	case errors.As(err, &syntax):
		line, _ := syntax.Position()
		return fmt.Errorf("%s:%d: %s", file, line, strings.TrimPrefix(syntax.Error(), "toml: "))
	}
	return fmt.Errorf("%s: %w", file, err)
}

// check finds what cannot be meant, and sets what is left out.
func (s *scene) check() error {
	if s.Name == "" {
		return errors.New("it has no name")
	}
	if err := s.recipients(); err != nil {
		return err
	}
	facts := s.Author != "" || s.DisplayName != "" || s.SPF != "" || len(s.DKIM) > 0 || s.DMARC != "" || s.ReverseName != nil || s.SenderDomain != ""
	switch {
	case s.Message == "" && s.Author == "":
		return errors.New("it has neither author nor message")
	case s.Message != "" && facts:
		return errors.New("author, display_name, spf, dkim, dmarc, reverse_name and sender_domain are facts for a case without message")
	case s.Message == "" && s.Zone != "":
		return errors.New("zone is for a case with message; facts make their own")
	case s.Message != "" && s.From == nil:
		return errors.New("a message needs mail_from")
	}
	if !slices.Contains([]string{"", "none", "pass", "fail", "softfail", "neutral", "temperror", "permerror"}, s.SPF) {
		return fmt.Errorf("spf %q is no result", s.SPF)
	}
	if !slices.Contains([]string{"", "exists", "null_mx", "nxdomain"}, s.SenderDomain) {
		return fmt.Errorf("sender_domain %q is none of exists, null_mx, nxdomain", s.SenderDomain)
	}
	if strings.ContainsAny(s.Author+s.DisplayName+s.DMARC+strings.Join(s.DKIM, ""), "\r\n") {
		return errors.New("a fact has a line end in it")
	}
	s.defaults()
	return s.expects()
}

func (s *scene) defaults() {
	if s.Client == "" {
		s.Client = "203.0.113.9"
	}
	if s.Helo == "" {
		s.Helo = "mx.sender.example"
	}
	if s.From == nil {
		s.From = &s.Author
	}
}

func (s *scene) recipients() error {
	switch to := s.To.(type) {
	case string:
		s.rcpts = []string{to}
	case []any:
		for _, one := range to {
			text, ok := one.(string)
			if !ok {
				return errors.New("to is an address or a list of them")
			}
			s.rcpts = append(s.rcpts, text)
		}
	}
	if len(s.rcpts) == 0 {
		return errors.New("to is missing: an address or a list of them")
	}
	return nil
}

func (s *scene) envelope() (mail.Envelope, error) {
	f := checkFlags{ip: s.Client, helo: s.Helo, from: *s.From, rcpts: s.rcpts}
	return f.envelope()
}

// world gives the message and who answers for the DNS.
func (s *scene) world(dir string, outside dns.Source) ([]byte, dns.Source, error) {
	if s.Message == "" {
		return s.made()
	}
	data, err := readLimited(filepath.Join(dir, s.Message), maxSceneFile)
	if err != nil || s.Zone == "" {
		return data, outside, err
	}
	zone, err := dns.LoadZones(filepath.Join(dir, s.Zone))
	return data, zone, err
}

// made turns the facts into a message, signed as they say, and a zone in which
// SPF, DKIM and DMARC find them.
func (s *scene) made() ([]byte, dns.Source, error) {
	author := s.Author
	if s.DisplayName != "" {
		author = quoteName(s.DisplayName) + " <" + s.Author + ">"
	}
	message := fmt.Appendf(nil, "From: %s\r\nTo: %s\r\nSubject: Rehearsal\r\nDate: %s\r\nMessage-ID: <rehearsal@sekimori.invalid>\r\n\r\nA rehearsal.\r\n",
		author, strings.Join(s.rcpts, ", "), s.clock().Format(time.RFC1123Z))
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) // it proves nothing to anybody
	zone := s.zone(key.Public().(ed25519.PublicKey))
	for _, d := range slices.Backward(s.DKIM) {
		var signed bytes.Buffer
		err := dkim.Sign(&signed, bytes.NewReader(message), &dkim.SignOptions{Domain: d, Selector: sceneSelector, Signer: key, HeaderKeys: []string{"From"}})
		if err != nil {
			return nil, nil, fmt.Errorf("signing as %s: %w", d, err)
		}
		message = signed.Bytes()
	}
	source, err := dns.ParseZone("facts", strings.NewReader(zone))
	return message, source, err
}

const sceneSelector = "rehearsal"

func quoteName(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// zone publishes what the facts say.
func (s *scene) zone(key ed25519.PublicKey) string {
	var b strings.Builder
	if _, sender, ok := mail.SplitAddress(*s.From); ok {
		b.WriteString(s.sender(sender))
	}
	for i, d := range s.DKIM {
		if !slices.Contains(s.DKIM[:i], d) {
			fmt.Fprintf(&b, "%s._domainkey.%s. TXT \"v=DKIM1; k=ed25519; p=%s\"\n", sceneSelector, d, base64.StdEncoding.EncodeToString(key))
		}
	}
	if _, author, ok := mail.SplitAddress(s.Author); ok && s.DMARC != "" {
		fmt.Fprintf(&b, "_dmarc.%s. TXT %q\n", author, s.DMARC)
	}
	if client, err := netip.ParseAddr(s.Client); err == nil && (s.ReverseName == nil || *s.ReverseName) {
		kind := "A"
		if client.Is6() {
			kind = "AAAA"
		}
		fmt.Fprintf(&b, "%s. PTR client.sender.example.\nclient.sender.example. %s %s\n", dns.ReverseName(client), kind, client)
	}
	return b.String()
}

// sender is the domain of MAIL FROM: whether it is there, whether it takes mail, and
// its SPF.
func (s *scene) sender(domain string) string {
	if s.SenderDomain == "nxdomain" {
		return ""
	}
	mx := "mx." + domain + "."
	preference := 10
	if s.SenderDomain == "null_mx" {
		mx, preference = ".", 0 // RFC 7505
	}
	text := fmt.Sprintf("%s. MX %d %s\n", domain, preference, mx)
	record := map[string]string{
		"pass": "ip4:" + s.Client + " -all", "fail": "-all", "softfail": "~all", "neutral": "?all", "permerror": "unknown:mechanism",
	}[s.SPF]
	if strings.Contains(s.Client, ":") {
		record = strings.Replace(record, "ip4:", "ip6:", 1)
	}
	switch {
	case s.SPF == "temperror":
		text += fmt.Sprintf(";fail %s. TXT SERVFAIL\n", domain)
	case record != "":
		text += fmt.Sprintf("%s. TXT \"v=spf1 %s\"\n", domain, record)
	}
	return text
}

// readMail reads a message from memory, with the line ends of a text file or of
// mail.
func readMail(env mail.Envelope, data []byte, cfg config.Config) (*mail.Message, error) {
	return mail.Read(env, bytes.NewReader(textLines(data)), spoolOptions(cfg))
}
