"""What the plain pages say, in the language that the browser asks for. English is in the templates; French is here.

The language is the request's: it is set before a page is made and read while it is.
"""

from __future__ import annotations

from contextvars import ContextVar

from fastapi import Request

_FRENCH = {
    "Havre": "Havre",
    "Sign in": "Se connecter",
    "Sign in to Havre": "Se connecter à Havre",
    "E-mail address": "Adresse e-mail",
    "Password": "Mot de passe",
    "Signing in lets the command line that sent you here act for you.": "Une fois connecté, la ligne de commande qui vous a envoyé ici pourra agir en votre nom.",
    "Your code": "Votre code",
    "Enter the six digits that your authenticator app shows, or one of your spare codes.": "Entrez les six chiffres de votre application d’authentification, ou l’un de vos codes de secours.",
    "Code": "Code",
    "Go on": "Continuer",
    "Allow the command line": "Autoriser la ligne de commande",
    "Allow the command line?": "Autoriser la ligne de commande ?",
    "You are {name} ({email}).": "Vous êtes {name} ({email}).",
    "The command line that sent you here will act for you. Allow it only if you have just signed in from a terminal yourself.": "La ligne de commande qui vous a envoyé ici agira en votre nom. N’acceptez que si vous venez de vous connecter vous-même depuis un terminal.",
    "Allow": "Autoriser",
    "Allow {consumer}?": "Autoriser {consumer} ?",
    "{consumer} asks to:": "{consumer} demande à :",
    "know that you have an account here": "savoir que vous avez un compte ici",
    "Join {organisation}": "Rejoindre {organisation}",
    "Make your account for {email}.": "Créez votre compte pour {email}.",
    "Your name": "Votre nom",
    "A password": "Un mot de passe",
    "Join": "Rejoindre",
    "Present password": "Mot de passe actuel",
    "New password": "Nouveau mot de passe",
    "Change it": "Le changer",
    "Two-step sign-in": "Connexion en deux étapes",
    "On.": "Activée.",
    "Set it up": "La mettre en place",
    "Turn it on": "L’activer",
    "Enter this in your authenticator app, then the code that it shows:": "Entrez ceci dans votre application d’authentification, puis le code qu’elle montre :",
    "open the app": "ouvrir l’application",
    "This browser": "Ce navigateur",
    "Sign out": "Se déconnecter",
    "Back to the console": "Retour à la console",
    "Goodbye": "Au revoir",
    "You are signed out at this browser. Command lines stay signed in.": "Ce navigateur est déconnecté. Les lignes de commande restent connectées.",
    "You are signed in": "Vous êtes connecté",
    "You can close this page and go on in your terminal.": "Vous pouvez fermer cette page et continuer dans votre terminal.",
    "That did not work": "Cela n’a pas marché",
    "Allowed": "Autorisé",
    "Welcome": "Bienvenue",
    "You have an account here. Its command line is clever.": "Vous avez un compte ici. Sa ligne de commande est clever.",
    "Confirmed": "Confirmé",
    "The password is changed. Other browsers are signed out.": "Le mot de passe est changé. Les autres navigateurs sont déconnectés.",
    "Two-step sign-in is on. Keep these codes, each works once.": "La connexion en deux étapes est activée. Gardez ces codes, chacun sert une fois.",
    "The e-mail address or the password is wrong.": "L’adresse e-mail ou le mot de passe est faux.",
    "The code is wrong or was used before.": "Le code est faux ou a déjà servi.",
    "The present password is wrong.": "Le mot de passe actuel est faux.",
    "This form has expired. Try again.": "Ce formulaire a expiré. Réessayez.",
    "This sign-in took too long; begin again.": "Cette connexion a pris trop de temps ; recommencez.",
    "Nothing here": "Rien ici",
    "There is nothing of that name that you may see.": "Il n’y a rien de ce nom que vous puissiez voir.",
}  # fmt: skip
_language: ContextVar[str] = ContextVar("language", default="en")


async def listen(request: Request) -> None:
    """Take the language that the browser likes better of the two."""
    asked = [
        each.partition(";")[0].strip().lower()[:2] for each in request.headers.get("accept-language", "").split(",")
    ]
    _language.set(next((each for each in asked if each in ("en", "fr")), "en"))


def language() -> str:
    return _language.get()


def said(text: str, **facts: str) -> str:
    """`text` in the language of the request; what is not known in it stays English."""
    found = _FRENCH.get(text, text) if language() == "fr" else text
    return found.format(**facts) if facts else found
