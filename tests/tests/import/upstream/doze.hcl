# After the examples of upstream: a database with an owner, a cache, a program that uses both.
name = "upstream"

defaults {
  idle_timeout = "10m"
  domains      = true
}

postgres "shop" {
  version         = 16
  port            = 5432
  owner           = "shop"
  max_connections = 20

  settings {
    work_mem = "8MB"
    port     = 1
  }
}

use valkey "cache" {
  version          = 8
  port             = 6379
  password         = "it's $${a} \"secret\""
  maxmemory        = "64mb"
  maxmemory_policy = "allkeys-lru"
  depends_on       = { shop = "healthy" }
}

process "api" {
  command    = "run-api"
  port       = 8080
  depends_on = { shop = "healthy", cache = "started" }

  env = {
    DATABASE_URL = postgres.shop.url
  }

  health {
    http     = "/healthz"
    interval = "2s"
  }
}
