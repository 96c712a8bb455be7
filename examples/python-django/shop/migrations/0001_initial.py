"""The first table, with one item in it."""

from django.db import migrations, models


def put_first_item(apps, editor):
    apps.get_model("shop", "Item").objects.create(name="a lantern")


class Migration(migrations.Migration):
    initial = True
    operations = [
        migrations.CreateModel(
            name="Item",
            fields=[("id", models.BigAutoField(primary_key=True)), ("name", models.CharField(max_length=80))],
        ),
        migrations.RunPython(put_first_item),
    ]
