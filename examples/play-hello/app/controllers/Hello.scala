package controllers

import javax.inject.{Inject, Singleton}
import play.api.libs.json.Json
import play.api.mvc.{AbstractController, ControllerComponents}

/** A line of JSON about whoever is named. */
@Singleton
class Hello @Inject() (components: ControllerComponents) extends AbstractController(components) {
  def index = Action(Ok(Json.obj("hello" -> "Play")))

  def person(name: String) = Action(Ok(Json.obj("hello" -> name)))
}
