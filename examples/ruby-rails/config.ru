# frozen_string_literal: true

# A Rails app in one file.
require "rails"
require "active_record/railtie"
require "action_controller/railtie"

ENV["DATABASE_URL"] ||= "sqlite3:/tmp/harbour.sqlite3"

class Harbour < Rails::Application
  config.load_defaults 6.1
  config.eager_load = true
  config.hosts.clear
  config.secret_key_base = ENV.fetch("SECRET_KEY_BASE", "only for this example")
  config.logger = Logger.new($stdout)
  config.log_level = :warn
  routes.append { root to: "ships#index" }
end

class Ship < ActiveRecord::Base
end

class ShipsController < ActionController::Base
  def index
    render plain: "Rails #{Rails.version}: #{Ship.order(:name).pluck(:name).join(', ')}"
  end
end

Harbour.initialize!
ActiveRecord::Schema.verbose = false
ActiveRecord::Schema.define do
  create_table(:ships, force: true) { |table| table.string :name }
end
%w[Heron Kelp].each { |name| Ship.create!(name: name) }

run Harbour
