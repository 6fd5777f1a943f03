package mail

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestParseReceived(t *testing.T) {
	tests := []struct {
		name, value, client, helo string
		authenticated             bool
	}{
		{"Postfix", "from mx.example.com (mail.example.com [192.0.2.1])\r\n\tby relay.example.net (Postfix) with ESMTP id 4Xabc\r\n\tfor <u@example.net>; Sun, 1 Nov 2026 00:00:00 +0000 (UTC)", "192.0.2.1", "mx.example.com", false},
		{"Postfix, TLS", "from mx.example.com (unknown [192.0.2.1])\r\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits)\r\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits) server-digest SHA256)\r\n\t(Client CN \"[198.51.100.1]\", Issuer \"x\" (not verified))\r\n\tby relay.example.net (Postfix) with ESMTPS id 1", "192.0.2.1", "mx.example.com", false},
		{"Postfix, IPv6", "from mx.example.com (mail.example.com [IPv6:2001:db8::1]) by relay.example.net (Postfix) with ESMTP id 1", "2001:db8::1", "mx.example.com", false},
		{"Postfix, submission", "from [10.1.2.3] (dsl.example.org [192.0.2.1])\r\n\t(Authenticated sender: u@example.net)\r\n\tby relay.example.net (Postfix) with ESMTPSA id 1", "192.0.2.1", "[10.1.2.3]", true},
		{"literal as HELO", "from [198.51.100.1] (mail.example.com [192.0.2.1]) by relay.example.net (Postfix) with ESMTP id 1", "192.0.2.1", "[198.51.100.1]", false},
		{"HELO with an equals sign", "from a=b (mail.example.com [192.0.2.1]) by relay.example.net (Postfix) with SMTP id 1", "192.0.2.1", "a=b", false},
		{"HELO in UTF-8", "from \xe9\x96\xa2 (mail.example.com [192.0.2.1]) by relay.example.net with SMTP id 1", "192.0.2.1", "\xe9\x96\xa2", false},
		{"OpenSMTPD", "from mx.example.com (<unknown> [192.0.2.1])\r\n\tby relay.example.net (OpenSMTPD) with ESMTP id 1", "192.0.2.1", "mx.example.com", false},
		{"Courier", "from mx.example.com (mail.example.com [::ffff:192.0.2.1])\r\n  (TLS: TLSv1.3,256bits) by relay.example.net with ESMTPS", "192.0.2.1", "mx.example.com", false},
		{"a name with a dot at its end", "from mx.example.com (mail.example.com. [192.0.2.1]) by relay.example.net with ESMTPS id 1", "192.0.2.1", "mx.example.com", false},
		{"no name", "from mx.example.com ([IPv6:2001:db8::1])\r\n\tby relay.example.net (Sekimori) with ESMTP id 1", "2001:db8::1", "mx.example.com", false},

		{"Sendmail", "from mx.example.com (mail.example.com [192.0.2.1])\r\n\tby relay.example.net (8.17.1/8.17.1) with ESMTPS id 4A1\r\n\t(version=TLSv1.3 cipher=TLS_AES_256_GCM_SHA384 bits=256 verify=NO)", "192.0.2.1", "mx.example.com", false},
		{"Sendmail, forged name", "from mx.example.com (mail.example.com [192.0.2.1] (may be forged)) by relay.example.net (8.17.1/8.17.1) with ESMTP id 1", "192.0.2.1", "mx.example.com", false},
		{"Sendmail, ident", "from mx.example.com (IDENT:root@mail.example.com [192.0.2.1]) by relay.example.net (8.17.1/8.17.1) with SMTP id 1", "192.0.2.1", "mx.example.com", false},
		{"Sendmail, ident without a name", "from mx.example.com (root@[192.0.2.1]) by relay.example.net (8.17.1/8.17.1) with SMTP id 1", "192.0.2.1", "mx.example.com", false},

		{"Exim", "from mail.example.com ([192.0.2.1] helo=mx.example.com)\r\n\tby relay.example.net with esmtps  (TLS1.3) tls TLS_AES_256_GCM_SHA384\r\n\t(Exim 4.97)\r\n\t(envelope-from <a@example.com>)\r\n\tid 1abc-1", "192.0.2.1", "mx.example.com", false},
		{"Exim, port", "from mail.example.com ([192.0.2.1]:33001 helo=mx.example.com ident=x) by relay.example.net with esmtp (Exim 4.97)", "192.0.2.1", "mx.example.com", false},
		{"Exim, HELO is the name", "from mx.example.com ([2001:db8::1]) by relay.example.net with esmtp (Exim 4.97)", "2001:db8::1", "mx.example.com", false},
		{"Exim, no name", "from [192.0.2.1] (port=33001 helo=mx.example.com) by relay.example.net with esmtp (Exim 4.97)", "192.0.2.1", "mx.example.com", false},
		{"Exim, no name, literal as HELO", "from [192.0.2.1] (helo=[198.51.100.1]) by relay.example.net with esmtp (Exim 4.97)", "192.0.2.1", "[198.51.100.1]", false},
		{"Exim, nothing but the address", "from [192.0.2.1] by relay.example.net with smtp (Exim 4.97)", "192.0.2.1", "[192.0.2.1]", false},
		{"Exim, submission", "from [192.0.2.1] (helo=laptop) by relay.example.net with esmtpsa (TLS1.3) (Exim 4.97)", "192.0.2.1", "laptop", true},

		{"Exchange", "from mx.example.com (192.0.2.1) by EX01.example.net (10.0.0.5)\r\n with Microsoft SMTP Server (version=TLS1_2, cipher=TLS_ECDHE) id 15.1.2507.35; Sun, 1 Nov 2026", "192.0.2.1", "mx.example.com", false},
		{"Exchange, IPv6", "from mx.example.com (2001:db8:10a6::15) by relay.example.net (2001:db8::2) with Microsoft SMTP Server id 15.20.1 via Frontend Transport", "2001:db8:10a6::15", "mx.example.com", false},

		{"qmail", "from mail.example.com (192.0.2.1)\r\n  by relay.example.net with SMTP; 1 Nov 2026 00:00:00 -0000", "192.0.2.1", "mail.example.com", false},
		{"qmail, HELO", "from unknown (HELO mx.example.com) (192.0.2.1) by relay.example.net with SMTP", "192.0.2.1", "mx.example.com", false},
		{"qmail, ident", "from unknown (HELO mx.example.com) (root@192.0.2.1) by relay.example.net with SMTP", "192.0.2.1", "mx.example.com", false},
		{"qmail, submission", "from unknown (HELO [127.0.0.1]) (u@example.net@[192.0.2.1]) by 203.0.113.1 with ESMTPSA (AES256-SHA encrypted, authenticated)", "192.0.2.1", "[127.0.0.1]", true},
		{"IronPort", "from mail.example.com (HELO mx.example.com) ([192.0.2.1])\r\n  by relay.example.net with ESMTP/TLS/AES256", "192.0.2.1", "mx.example.com", false},

		{"keywords in capitals", "FROM mx.example.com ([192.0.2.1]) BY relay.example.net VIA TCP WITH ESMTPA", "192.0.2.1", "mx.example.com", true},
		{"nothing but what is needed", "from x(y[192.0.2.1])by z", "", "", false},
		{"tight", "from x(y [192.0.2.1])by z", "192.0.2.1", "x", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseReceived([]byte(" " + tt.value))
			if tt.client == "" {
				if err == nil {
					t.Errorf("%+v, want an error", got)
				}
				return
			}
			want := Received{Client: netip.MustParseAddr(tt.client), Helo: tt.helo, Authenticated: tt.authenticated}
			if err != nil || got != want {
				t.Errorf("%+v %v, want %+v", got, err, want)
			}
		})
	}
}

func TestParseReceivedQueue(t *testing.T) {
	if got, err := ParseReceived([]byte(" (qmail 4242 invoked from network); 1 Nov 2026")); err != nil || !got.Queue || got.Client.IsValid() {
		t.Errorf("%+v %v", got, err)
	}
	for _, v := range []string{"(qmail 4242 invoked by uid 0)", "(qmail 4242 invoked from network) x", "(qmail 4242 invoked from a network)", "qmail 4242 invoked from network"} {
		if got, err := ParseReceived([]byte(v)); err == nil {
			t.Errorf("%s: %+v", v, got)
		}
	}
}

// What a client could have written into its HELO, its name or its ident of a
// careless relay, and what says too little.
func TestParseReceivedRefuses(t *testing.T) {
	for _, v := range []string{
		"",
		"by relay.example.net (Postfix, from userid 0) id 1",
		"by 2001:db8::1 with SMTP id x; Sun, 1 Nov 2026",
		"from mx.example.com by relay.example.net with SMTP",
		"from mx.example.com (mail.example.com) by relay.example.net with SMTP",
		"from mx.example.com (mail.example.com [192.0.2.1])",
		"from mx.example.com (mail.example.com [192.0.2.1]); by relay.example.net",
		"from (mail.example.com [192.0.2.1]) by relay.example.net",
		"from mx.example.com (mail.example.com [192.0.2.1]) x by relay.example.net",
		"from [198.51.100.1] by relay.example.net with SMTP",
		"from [198.51.100.1] (mail.example.com) by relay.example.net with SMTP",
		"from x ([198.51.100.1]) (mail.example.com [192.0.2.1]) by relay.example.net (Postfix)",
		"from x (198.51.100.1) (mail.example.com [192.0.2.1]) by relay.example.net (Postfix)",
		"from x (mail.example.com [192.0.2.1]) ([192.0.2.1]) by relay.example.net",
		"from mail.example.com ([192.0.2.1] helo=a helo=b) by relay.example.net (Exim 4.97)",
		"from mail.example.com ([192.0.2.1] helo=a b) by relay.example.net (Exim 4.97)",
		"from unknown (HELO a) (HELO b) (192.0.2.1) by relay.example.net",
		"from unknown (HELO x) (192.0.2.1) (helo=y) by relay.example.net",
		"from x (y@[198.51.100.1] [192.0.2.1]) by relay.example.net",
		"from x ([198.51.100.1] [192.0.2.1]) by relay.example.net",
		"from x (y z [192.0.2.1]) by relay.example.net",
		"from x (y [192.0.2.1] z) by relay.example.net",
		"from x (y [192.0.2.1](may be forged) by relay.example.net",
		"from x (y [192.0.2.1]) by",
		"from x (y [192.0.2.1]) (by) relay.example.net",
		"from x (y [192.0.2.1.5]) by relay.example.net",
		"from x (y [192.0.2.1]:x) by relay.example.net",
		"from x (y [192.0.2.1]25) by relay.example.net",
		"from x (y [fe80::1%eth0]) by relay.example.net",
		"from x (y [IPv6:]) by relay.example.net",
		"from x (y [IPv4:192.0.2.1]) by relay.example.net",
		"from x\x00 (y [192.0.2.1]) by relay.example.net",
		"from x (y\x1b [192.0.2.1]) by relay.example.net",
		"from x) (y [192.0.2.1]) by relay.example.net",
		"from x " + strings.Repeat("(", 17) + strings.Repeat(")", 17) + " (y [192.0.2.1]) by relay.example.net",
		"from x (y [192.0.2.1]) by relay.example.net id " + strings.Repeat("x", 4096),
		"from x (y [192.0.2.1]\\",
	} {
		if got, err := ParseReceived([]byte(v)); err == nil {
			t.Errorf("%q: %+v", v, got)
		}
	}
}

func FuzzReceived(f *testing.F) {
	for _, v := range []string{
		"from mx.example.com (mail.example.com [192.0.2.1])\r\n\tby relay.example.net (Postfix) with ESMTP id 4Xabc; x",
		"from mail.example.com ([192.0.2.1]:25 helo=mx.example.com) by relay.example.net with esmtpsa (Exim 4.97)",
		"from unknown (HELO mx.example.com) (root@192.0.2.1) by relay.example.net with SMTP",
		"(qmail 4242 invoked from network)", "from [192.0.2.1] (port=1) by x", strings.Repeat("(", 4096),
	} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		start := time.Now()
		got, err := ParseReceived(v)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%d bytes took %v", len(v), d)
		}
		switch {
		case err != nil && got != Received{}, got.Queue && got != Received{Queue: true}:
			t.Errorf("%+v %v", got, err)
		case err == nil && !got.Queue && (!got.Client.IsValid() || got.Client.Is4In6() || got.Client.Zone() != ""):
			t.Errorf("client %v", got.Client)
		case !strings.Contains(string(v), got.Helo) || strings.ContainsAny(got.Helo, " \t\r\n()\x00"):
			t.Errorf("HELO %q", got.Helo)
		}
	})
}
