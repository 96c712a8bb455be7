# frozen_string_literal: true

require "harbour"
require "sidekiq"
require "sinatra/base"

# What a worker does in the background: CC_ENABLE_SIDEKIQ=true, with REDIS_URL of an add-on.
class Unload
  include Sidekiq::Worker

  def perform(ship)
    puts "#{ship} is unloaded"
  end
end

# The pages.
class App < Sinatra::Base
  get "/" do
    "Hello from Sinatra #{Sinatra::VERSION} on Ruby #{RUBY_VERSION}\n"
  end

  get "/ships" do
    Harbour::SHIPS.join(", ")
  end
end
