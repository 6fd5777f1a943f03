package proxy

type partial struct{}
