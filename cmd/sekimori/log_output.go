package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"

	"sekimori/config"
	"sekimori/filter/event"
)

// journalSocket is systemd's.
const journalSocket = "/run/systemd/journal/socket"

// open makes the output of one entry of log.outputs, or takes over that of the
// sheet in force.
func (b *logbook) open(c config.Log, host, entry string) (output, error) {
	kind, at, err := config.Output(entry)
	if err != nil {
		return output{}, err
	}
	made := fmt.Sprint(entry, c.Queue)
	var secure *tls.Config
	if kind == "syslog+tls" {
		var files []byte
		if secure, files, err = syslogTLS(c, at); err != nil {
			return output{}, err
		}
		made += string(files)
	}
	if kind == "syslog+tcp" || kind == "syslog+tls" || kind == "syslog+unix" {
		made += fmt.Sprint(c.SyslogFacility, host)
	}
	for _, present := range b.sheet.Load().outputs {
		if present.made == made {
			return present, nil
		}
	}
	o := &event.Output{Name: entry, Limit: int(c.Queue), Missed: b.missed, Changed: b.changed}
	receiver := event.Syslog{Network: "tcp", Address: at, TLS: secure, Facility: event.Facility(c.SyslogFacility), Host: host, PID: os.Getpid()}
	switch kind {
	case "stdout":
		o.ToWriter(b.out)
	case "stderr":
		o.ToWriter(b.err)
	case "journald":
		o.ToJournal(journalSocket)
	case "file":
		_, err = o.ToFile(at)
	case "syslog+unix":
		receiver.Network = "unix"
		o.ToSyslog(receiver)
	default:
		o.ToSyslog(receiver)
	}
	return output{o, made}, err
}

// missed and changed tell the other outputs, and this one once it works.
func (b *logbook) missed(output string, lines int) {
	b.logger().Warn("lines of the log were dropped", "output", output, "lines", lines)
}

func (b *logbook) changed(output string, err error) {
	if err != nil {
		b.logger().Error("an output of the log does not work", "output", output, "error", err.Error())
		return
	}
	b.logger().Info("the output of the log works again", "output", output)
}

// syslogTLS also gives what it has read.
func syslogTLS(c config.Log, address string) (*tls.Config, []byte, error) {
	host, _, _ := net.SplitHostPort(address)
	conf := &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	var ca, cert, key []byte
	for _, one := range []struct {
		key, file string
		to        *[]byte
	}{{"syslog_tls_ca", c.SyslogTLSCA, &ca}, {"syslog_tls_certificate", c.SyslogTLSCertificate, &cert}, {"syslog_tls_key", c.SyslogTLSKey, &key}} {
		if one.file == "" {
			continue
		}
		b, err := os.ReadFile(one.file)
		if err != nil {
			return nil, nil, fmt.Errorf("log.%s: %w", one.key, err)
		}
		*one.to = b
	}
	if ca != nil {
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(ca) {
			return nil, nil, fmt.Errorf("log.syslog_tls_ca: %s has no certificate", c.SyslogTLSCA)
		}
	}
	if cert != nil {
		pair, err := tls.X509KeyPair(cert, key)
		if err != nil {
			return nil, nil, fmt.Errorf("log.syslog_tls_certificate: %w", err)
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, bytes.Join([][]byte{ca, cert, key}, []byte{0}), nil
}
